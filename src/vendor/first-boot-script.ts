// Pure: what identity a firstrun.sh will give: piimg's own, and Raspberry Pi Imager's.
import { shownOctets } from '../lib/utf8.ts';
import { commandLine, textOf } from './system.ts';
import type { ImageView } from './view.ts';

/** Names, no secret. */
export interface Promised {
  hostname?: string;
  users: string[];
  /** Those of them who get keys, and keys alone let in by ssh. */
  keyed: string[];
  ssh: boolean;
  wifi: string[];
  hostKeys: boolean;
}

/** Undefined where the kernel's command line names no such script, or where it is none. */
export async function promisedByScript(view: ImageView): Promise<Promised | undefined> {
  if (!(await commandLine(view)).some((word) => /^systemd\.run=.*\/firstrun\.sh$/.test(word))) return undefined;
  const text = await textOf(view.boot.files, 'firstrun.sh');
  const promised: Promised = { users: [], keyed: [], ssh: false, wifi: [], hostKeys: false };
  for (const words of commandsOf(text)) note(words, promised);
  return promised;
}

/**
 * piimg calls its own functions by `step`; Imager the programs imager_custom and userconf by their paths (rpi-imager,
 * src/customization_generator.cpp), and in `else` branches does without them: the names in those are the same.
 */
function note(words: string[], promised: Promised): void {
  const [first = '', ...rest] = words;
  // Of an assignment it is the value that ends so.
  const program = first.includes('=') ? '' : (first.split('/').at(-1) ?? '');
  const [what = '', ...values] = program === 'step' || program === 'imager_custom' ? rest : [program, ...rest];
  // The options of imager_custom; whatever else begins so is a value, as behind it another one may be a secret.
  const value = values.find((word) => !['-h', '--hidden', '-p', '--plain', '-k'].includes(word)) ?? '';
  if (what === 'set_hostname') promised.hostname = value;
  else if (['first_user', 'further_user', 'userconf'].includes(what)) promised.users.push(value);
  else if (what === 'set_keys') promised.keyed.push(value);
  else if (what === 'enable_ssh') promised.ssh = true;
  else if (what === 'set_wlan') promised.wifi.push(value);
  else if (what === 'set_host_key') promised.hostKeys = true;
  else if (what === 'set_connection' || what === 'set_wpa_supplicant')
    promised.wifi.push(...namesOfWifi(values.at(-1) ?? ''));
}

/** Of a keyfile of NetworkManager, as text or in bytes, or of a wpa_supplicant.conf, in hex digits. */
export function namesOfWifi(text: string): string[] {
  return [...text.matchAll(/^\s*ssid=(?:"([^"\n]*)"$|(\d+;[\d;]*)$|([0-9a-fA-F]+)$|(.*))/gm)].map(
    ([, quoted, bytes, hex, plain]) => {
      if (bytes !== undefined) return shownOctets(Buffer.from(bytes.split(';').filter(Boolean).map(Number)));
      // Eight digits may be a name: a keyfile says `type=wifi`, and has no hex digits.
      if (hex !== undefined && !text.includes('type=wifi')) return shownOctets(Buffer.from(hex, 'hex'));
      return quoted ?? hex ?? plain ?? '';
    },
  );
}

/** Words of each command, of those that stand on lines of their own: enough of a shell for scripts that say one thing a line. */
export function commandsOf(script: string): string[][] {
  const words = /'[^']*'|"(?:[^"\\]|\\[^])*"|\\[^]|[^\s'"\\]+|\n|\s/g;
  const commands: string[][] = [[]];
  let word: string | undefined;
  for (const [part] of `${script}\n`.matchAll(words)) {
    if (/^\s$/.test(part)) {
      if (word !== undefined) commands.at(-1)?.push(word);
      word = undefined;
      if (part === '\n') commands.push([]);
    } else {
      word = (word ?? '') + unquoted(part);
    }
  }
  return commands.filter((command) => command.length > 0);
}

function unquoted(part: string): string {
  if (part.startsWith("'")) return part.slice(1, -1);
  if (part.startsWith('"')) return part.slice(1, -1).replaceAll(/\\([$`"\\])/g, '$1');
  return part.startsWith('\\') ? part.slice(1) : part;
}
