// The options of `piimg seed` that name files: keys, passwords and secrets are read, never written on the command line.
import { readFile } from 'node:fs/promises';
import { EXIT, PiimgError } from '../lib/errors.ts';
import { notUtf8 } from '../lib/utf8.ts';
import { publicKey } from '../lib/yaml/words.ts';
import type { Given } from '../seed/given.ts';

/** The options as commander gives them: those that were not given are absent. */
export interface NodeFlags {
  node?: string;
  user?: string;
  sshKey?: string[];
  ip?: string[];
  gateway?: string;
  dns?: string[];
  wifi?: string;
  wifiPasswordFile?: string;
  wifiCountry?: string;
  set?: [string, string][];
  secret?: [string, string][];
  hostKeys?: boolean;
}

/** Throws PiimgError (usage) naming the file that cannot be read or is not what it should be; never what is in it. */
export async function readGiven(flags: NodeFlags): Promise<Given> {
  const { wifi, wifiPasswordFile, wifiCountry } = flags;
  const password =
    wifiPasswordFile === undefined ? undefined : await readSecret(wifiPasswordFile, '--wifi-password-file');
  const wireless = {
    ...(wifi !== undefined && { ssid: wifi }),
    ...(password !== undefined && { password }),
    ...(wifiCountry !== undefined && { country: wifiCountry }),
  };
  const keys = await Promise.all((flags.sshKey ?? []).map(readKeys));
  const secrets = (flags.secret ?? []).map(async ([name, file]) => [name, await readSecret(file, `--secret ${name}`)]);
  return {
    node: flags.node,
    user: flags.user,
    keys: keys.flat(),
    addresses: flags.ip ?? [],
    gateway: flags.gateway,
    dns: flags.dns ?? [],
    wifi: Object.keys(wireless).length > 0 ? wireless : undefined,
    variables: Object.fromEntries((flags.set ?? []).map(([name, value]) => [name, valueOf(value)])),
    secrets: Object.fromEntries(await Promise.all(secrets)) as Record<string, string>,
    hostKeys: flags.hostKeys,
  };
}

/** Text stays text, but for true, false and numbers that read the same when they are written again: `007` and `1.10` are no such. */
function valueOf(text: string): string | number | boolean {
  if (text === 'true' || text === 'false') return text === 'true';
  return /^-?\d+(\.\d+)?$/.test(text) && String(Number(text)) === text ? Number(text) : text;
}

/** Whole text of a file but for the line break at its end. */
async function readSecret(file: string, option: string): Promise<string> {
  const text = (await readText(file, option)).replace(/\r?\n$/, '');
  if (text !== '') return text;
  throw new PiimgError(`${option}: ${file} is empty`, { exitCode: EXIT.usage });
}

/** Every key of a .pub file, or of an authorized_keys without options. */
async function readKeys(file: string): Promise<string[]> {
  const text = await readText(file, '--ssh-key');
  if (/PRIVATE KEY|PuTTY-User-Key-File/.test(text)) {
    throw new PiimgError(`--ssh-key: ${file} is a private key, which never leaves its place`, {
      exitCode: EXIT.usage,
      hint: `Name the public one: ${file}.pub (ssh-keygen -y -f FILE prints it).`,
    });
  }
  const lines = text.split('\n').map((line) => line.trim());
  const keys = lines.flatMap((line, index) =>
    line === '' || line.startsWith('#') ? [] : [{ line, number: index + 1 }],
  );
  const wrong = keys.find(({ line }) => !publicKey.safeParse(line).success);
  if (keys.length > 0 && wrong === undefined) return keys.map(({ line }) => line);
  throw new PiimgError(`--ssh-key: ${file}${wrong === undefined ? '' : ` line ${wrong.number}`} is no public ssh key`, {
    exitCode: EXIT.usage,
    hint: 'It is a file with lines like `ssh-ed25519 AAAA… me@laptop`, such as ~/.ssh/id_ed25519.pub.',
  });
}

async function readText(file: string, option: string): Promise<string> {
  const bytes = await readFile(file).catch((error: NodeJS.ErrnoException) => {
    const why = error.code === 'ENOENT' ? 'is not there' : `cannot be read (${error.code ?? error.message})`;
    throw new PiimgError(`${option}: ${file} ${why}`, { exitCode: EXIT.usage, cause: error });
  });
  if (notUtf8(bytes) === undefined && !bytes.includes(0)) return bytes.toString('utf8');
  throw new PiimgError(`${option}: ${file} is no text in UTF-8`, { exitCode: EXIT.usage });
}
