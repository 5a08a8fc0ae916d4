// What a probe is about to do, and what it has found out: for people.
import type { ProbeResult, Speed, Wrong } from '../flash/probe/types.ts';
import { formatBytes } from '../lib/bytes.ts';
import { plainText } from '../lib/plain-text.ts';
import { contentOf, type ShownDevice, type ShownRecord } from './flash-plan.ts';
import { formatDuration } from './rate.ts';
import type { Style } from './style.ts';

/** The card, and what becomes of it. */
export function formatProbePlan(
  device: ShownDevice,
  was: ShownRecord | undefined,
  full: boolean,
  style: Style,
): string {
  const { path, size, model, serial } = device;
  const facts = [
    style.bold(path),
    formatBytes(size),
    plainText(model),
    serial === undefined ? '' : `serial ${plainText(serial)}`,
    plainText(contentOf(device, was)),
  ];
  const what = full ? 'every block of it is written' : 'it is written here and there, up to its end';
  return `${facts.filter(Boolean).join('  ')}\nAll that is on it is lost: ${what}, and its first and last MiB are zeros afterwards.`;
}

/** The verdict on a line, what it rests on below it. */
export function formatProbe(device: string, result: ProbeResult, style: Style): string {
  const { problem, speed, everyBlock, bad, slips, emptied, verdict } = result;
  const note = (text: string): string => `${style.yellow('note:')} ${text}`;
  const lines = [
    ...(problem === undefined ? found(result) : [problem]),
    ...(speed === undefined ? [] : speeds(speed)),
    ...(everyBlock === undefined ? [] : [blocks(everyBlock)]),
    ...bad.slice(0, SHOWN).map(range),
    ...(bad.length > SHOWN ? [`and ${bad.length - SHOWN} more bad ranges (--json lists them)`] : []),
    ...(slips === 0
      ? []
      : [note(`${formatBytes(slips)} read right only the second time: look at reader and contacts`)]),
    emptied
      ? `It is empty now: ${verdict === 'fake' ? 'no partition table is left' : 'its first and last MiB are zeros'}.`
      : note(`its first and last MiB could not both be zeroed: it may look as if it held something`),
    ...hint(result).map((text) => `${style.cyan('hint:')} ${text}`),
  ];
  return [`${style.bold(device)}: ${title(result, style)}`, ...lines.map((line) => `  ${line}`)].join('\n');
}

/** Bad ranges that are shown. */
const SHOWN = 10;

function title({ verdict, size, real = 0 }: ProbeResult, style: Style): string {
  switch (verdict) {
    case 'good':
      return `${style.green('GOOD')}: it has the ${formatBytes(size)} that it says`;
    case 'fake':
      return `${style.red('FAKE')}: it says ${formatBytes(size)} and has ${formatBytes(real)}`;
    case 'damaged':
      return style.red(real === 0 ? 'DAMAGED: it does not keep what is written to it' : 'DAMAGED');
    case 'failed':
      return style.red('FAILED');
  }
}

function found({ verdict, kind, real = 0, firstWrong, places }: ProbeResult): string[] {
  const words = {
    wraps: 'what is written beyond lands on its beginning, over what is there',
    loses: 'what is written beyond is lost, without a word',
    fails: `whatever is written or read beyond fails${firstWrong?.code === undefined ? '' : ` (${firstWrong.code})`}`,
  };
  return [
    ...(kind === undefined ? [] : [words[kind]]),
    ...(verdict === 'fake' ? [`${real} bytes are real; first wrong at ${place(firstWrong?.offset ?? real)}`] : []),
    ...(verdict === 'good' ? [`right at ${places} places, and all over its last stretch`] : []),
  ];
}

const place = (offset: number): string => `byte ${offset} (sector ${Math.floor(offset / 512)})`;

function speeds({ sequentialWrite, sequentialRead, randomWrite, randomRead, reaches }: Speed): string[] {
  const asks = { A2: 'more than class A2 asks for (2000 and 4000)', A1: 'more than class A1 asks for (500 and 1500)' };
  const verdict = reaches === 'none' ? 'less than class A1 asks for (500 and 1500, and 10 MB/s)' : asks[reaches];
  return [
    `in a row: written at ${formatBytes(sequentialWrite)}/s, read at ${formatBytes(sequentialRead)}/s`,
    `here and there: ${Math.round(randomWrite)} writes and ${Math.round(randomRead)} reads of 4 KiB a second, ${verdict}`,
  ];
}

const blocks = ({ bytes, wrongBytes, writing, reading }: NonNullable<ProbeResult['everyBlock']>): string =>
  `every block: ${formatBytes(bytes)} written in ${formatDuration(writing)}, read back in ${formatDuration(reading)}, ${
    wrongBytes === 0 ? 'all right' : `${formatBytes(wrongBytes)} of it bad`
  }`;

function range({ offset, length, what, code, from }: Wrong): string {
  const words = {
    elsewhere: `reads what was written to byte ${from}`,
    old: 'reads what was there before',
    blank: 'reads one byte over and over',
    changed: 'reads otherwise than it was written',
    error: `fails (${code})`,
  };
  return `bad: ${length} bytes at ${place(offset)}: ${words[what]}`;
}

function hint({ verdict, everyBlock, problem }: ProbeResult): string[] {
  switch (verdict) {
    case 'good':
      return [];
    case 'fake':
      return ['Give it back. A file system on it is destroyed as soon as it grows beyond what is real.'];
    case 'damaged':
      return ['Do not use it any more.', ...(everyBlock === undefined ? ['--full lists all that is bad.'] : [])].slice(
        0,
        2,
      );
    case 'failed':
      return problem === undefined ? [] : ['Try another port or reader, then another card.'];
  }
}
