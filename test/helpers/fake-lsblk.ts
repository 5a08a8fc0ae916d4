// fakeLsblk: the real lsblk, but that a loop device is in it as a card in a USB reader while it is "put in", and not at all otherwise.
import { chmod, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { findProgram } from '../../src/host/requirements.mjs';

/** A reader that is filled and emptied by a test. */
export interface FakeReader {
  /** The folder that belongs in front of PATH. */
  folder: string;
  /** `locked`: with the switch of the card on. */
  putIn: (locked?: boolean) => Promise<void>;
  takeOut: () => Promise<void>;
}

/** No reader of this computer can be filled by a program: of a USB reader, what lsblk says of it is imitated. The card itself is real. */
export async function fakeLsblk(folder: string, device: string): Promise<FakeReader> {
  const card = path.join(folder, 'put-in');
  const script = `#!${process.execPath}
const { execFileSync } = require('node:child_process');
const { existsSync, readFileSync } = require('node:fs');
const listing = JSON.parse(execFileSync(${JSON.stringify(findProgram('lsblk'))}, process.argv.slice(2)));
const others = listing.blockdevices.filter(({ path }) => path !== ${JSON.stringify(device)});
const reader = { type: 'disk', tran: 'usb', rm: true, vendor: 'Reader', model: 'of a test', serial: null };
const [card] = listing.blockdevices.filter(({ path }) => path === ${JSON.stringify(device)});
listing.blockdevices = existsSync(${JSON.stringify(card)})
  ? [...others, { ...card, ...reader, ro: readFileSync(${JSON.stringify(card)}, 'utf8') === 'locked' }]
  : others;
console.log(JSON.stringify(listing));
`;
  const program = path.join(folder, 'lsblk');
  await writeFile(program, script);
  await chmod(program, 0o755);
  return { folder, putIn: (locked = false) => writeFile(card, locked ? 'locked' : ''), takeOut: () => rm(card) };
}
