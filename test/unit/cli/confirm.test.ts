// What counts as agreed to when nobody is there to ask.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { confirmTargets } from '../../../src/cli/flashing/confirm.ts';
import type { Target } from '../../../src/cli/flashing/targets.ts';
import type { PiimgError } from '../../../src/lib/errors.ts';

const target = (path: string, bus: string, removable: boolean, verdict: 'card' | 'fixed' = 'card'): Target =>
  ({ verdict, device: { path, bus, removable } }) as Target;
const READER = target('/dev/sdb', 'usb', true);
const BUILT_IN = target('/dev/mmcblk0', 'sd', false);
const USB_DISK = target('/dev/sdc', 'usb', false);
const FIXED = target('/dev/sda', 'sata', false, 'fixed');

async function said(targets: Target[], yes: boolean, ...confirm: string[]): Promise<string> {
  const { signal } = new AbortController();
  const asked = confirmTargets(targets, { yes, confirm }, signal);
  return asked.then(
    () => 'agreed',
    ({ exitCode, message, hint }: PiimgError) => `${exitCode} ${message}: ${hint}`,
  );
}

// The question itself is asked at a terminal: test/system/flash-guard.test.ts.
Object.defineProperty(process.stdin, 'isTTY', { value: false });

for (const [what, targets, yes, confirm, wanted] of [
  ['--yes agrees to what is a card', [READER, BUILT_IN], true, [], /^agreed$/],
  [
    'nothing agrees to nothing',
    [READER],
    false,
    [],
    /^3 Nobody is there to agree that sdb is overwritten: Agree with --yes/,
  ],
  ['a USB disk may hold backups', [USB_DISK], true, [], /^3 .* sdc is overwritten: .*--confirm sdc$/],
  ['a disk of the computer', [FIXED], true, [], /^3 .* sda is overwritten: .*--confirm sda$/],
  ['by name', [USB_DISK, FIXED], false, ['sdc', '/dev/sda'], /^agreed$/],
  ['by the name of another', [USB_DISK], true, ['sdb'], /^3 .* sdc is overwritten/],
  ['all of them are to be agreed to', [READER, USB_DISK], true, [], /^3 .* sdc is overwritten/],
] as const) {
  test(what, async () => {
    assert.match(await said([...targets], yes, ...confirm), wanted);
  });
}

test.run();
