// Folders for the time of one command, where the system keeps temporary files: a command that is killed cannot remove its own.
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { abandoned } from '../lib/alive.ts';

/** What they are for: a card and its key, a seed and its host keys, the socket of an ssh connection, the sockets of a machine. */
const OURS = /^piimg-(?:boot|seed|ssh|wire)-(\d+)-[A-Za-z0-9]{6}$/;

/**
 * Makes a folder that is named after this process, and is the caller's to remove. Removes those of processes that are gone; what is
 * not ours to remove is left.
 */
export async function makeWorkFolder(what: 'boot' | 'seed' | 'ssh' | 'wire'): Promise<string> {
  const place = tmpdir();
  for (const name of abandoned(await readdir(place), OURS)) {
    await rm(path.join(place, name), { recursive: true, force: true }).catch(() => {});
  }
  return mkdtemp(path.join(place, `piimg-${what}-${process.pid}-`));
}
