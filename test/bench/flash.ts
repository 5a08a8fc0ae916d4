// `npm run bench:flash`: writing an image to cards, beside dd, bmaptool and xz, in turns, on cards of several speeds.
//   npm run bench:flash -- [--rounds N] [--speeds MB/S,…] [--piimg MAIN.JS] [--json FILE]
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { abortOnSignals } from '../../src/cli/signals.ts';
import { run } from '../../src/host/exec.ts';
import { requireTools } from '../../src/host/tools.ts';
import { EXIT, PiimgError } from '../../src/lib/errors.ts';
import { createProgress } from '../../src/ui/progress.ts';
import { formatTable } from '../../src/ui/table.ts';
import { asRoot } from '../helpers/as-root.ts';
import { withCard, withCards, type CardOptions } from '../helpers/rig/card.ts';
import { contendersFor, fourFor, GOALS, GOAL_OF_FOUR, type Contender, type Goal } from './flash-contenders.ts';
import { makeImage, type BenchImage } from './flash-image.ts';
import { runMain } from './main.ts';
import { measure, type Measured } from './measured.ts';

/** What a card of the rig is called that is a plain loop over a file. */
const LOOP = 'loop';
/** Megabytes a second of each of the four cards. */
const SPEED_OF_FOUR = 45;
/** Bytes that piimg may take, for up to four cards. */
const MEMORY = 200e6;
/** One run that takes longer is broken. */
const MINUTES = 5;

interface Run extends Measured {
  /** Bytes that went to the cards and came back. */
  written: number;
  read: number;
}
/** By contender. */
type Runs = Record<string, Run[]>;

const signal = abortOnSignals();
const { progress } = createProgress('log');

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '1' },
      speeds: { type: 'string', default: `${LOOP},25,45,90` },
      piimg: { type: 'string' },
      json: { type: 'string' },
    },
  });
  const rounds = Number(values.rounds);
  const speeds = values.speeds.split(',');
  const piimg = values.piimg && path.resolve(values.piimg);
  if (!(Number.isInteger(rounds) && rounds > 0)) throw usage(`--rounds ${values.rounds}: it takes a whole number`);
  const odd = speeds.find((speed) => speed !== LOOP && !(Number(speed) > 0));
  if (odd !== undefined) throw usage(`--speeds ${odd}: it takes megabytes a second, or “${LOOP}”`);
  requireTools(['bmaptool', 'xz', 'zstd']);

  const folder = await mkdtemp(path.join(tmpdir(), 'piimg-bench-'));
  const all: Record<string, Runs> = {};
  try {
    const image = await progress.step('image', () => makeImage(folder));
    const contenders = contendersFor(image, piimg);
    for (const speed of speeds) {
      all[speed] = await withCard(cardOf(speed, image), (card) =>
        // What is over in a second or two is measured more often.
        inTurns(speed === LOOP ? 3 * rounds : rounds, contenders, { folder, cards: [card.path], title: speed }),
      );
    }
    const four = Array.from({ length: 4 }, () => cardOf(String(SPEED_OF_FOUR), image));
    all.four = await withCards(four, (cards) => {
      const paths = cards.map((card) => card.path);
      return inTurns(rounds, fourFor(image, piimg), { folder, cards: paths, title: 'four' });
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  const { four = {}, ...single } = all;
  for (const [speed, runs] of Object.entries(single)) {
    print(speed === LOOP ? 'A loop over a file' : `A card of ${speed} MB/s`, runs, GOALS);
  }
  print(`Four cards of ${SPEED_OF_FOUR} MB/s each`, four, [GOAL_OF_FOUR]);
  if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(all, null, 1)}\n`);
}

const usage = (message: string): PiimgError => new PiimgError(message, { exitCode: EXIT.usage });

/** A used card: its file has all its blocks before anything is timed. It cannot discard, as behind most USB readers; a loop always can. */
function cardOf(speed: string, { size }: BenchImage): CardOptions {
  const card: CardOptions = { size, content: 'random', seconds: 60 * 60 };
  return speed === LOOP
    ? { ...card, plain: true }
    : { ...card, bytesPerSecond: Number(speed) * 1e6, discards: 'refused' };
}

/** Each once in every round, every round beginning with another one. */
async function inTurns(
  rounds: number,
  contenders: Contender[],
  { folder, cards, title }: { folder: string; cards: string[]; title: string },
): Promise<Runs> {
  const runs: Runs = {};
  for (let round = 0; round < rounds; round++) {
    const first = round % contenders.length;
    for (const { name, command } of [...contenders.slice(first), ...contenders.slice(0, first)]) {
      // Nobody pays for what another one has left to be written, nor finds the card in memory.
      await run(['sync']);
      for (const card of cards) await run(asRoot(['blockdev', '--flushbufs', card]));
      const before = await transferred(cards);
      const measured = await progress.step(`${title}: ${name}`, () =>
        measure(command(cards), { cwd: folder, signal, minutes: MINUTES }),
      );
      const after = await transferred(cards);
      const moved = { written: after.written - before.written, read: after.read - before.read };
      (runs[name] ??= []).push({ ...measured, ...moved });
    }
  }
  return runs;
}

/** What the kernel has counted (Documentation/block/stat.rst). */
async function transferred(cards: string[]): Promise<{ written: number; read: number }> {
  const sum = { written: 0, read: 0 };
  for (const card of cards) {
    const fields = (await readFile(`/sys/block/${path.basename(card)}/stat`, 'utf8')).trim().split(/\s+/).map(Number);
    sum.read += (fields[2] ?? 0) * 512;
    sum.written += (fields[6] ?? 0) * 512;
  }
  return sum;
}

const middle = (runs: Run[] | undefined, of: (run: Run) => number): number => {
  const sorted = (runs ?? []).map(of).sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? NaN;
};
const seconds = (runs: Run[] | undefined): number => middle(runs, (run) => run.seconds);

function print(title: string, runs: Runs, goals: Goal[]): void {
  const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(0);
  const rows = Object.entries(runs).map(([name, of]) => {
    const perGigabyte = middle(of, ({ cpu, written, read }) => (cpu / (written + read)) * 1e9);
    return [
      name,
      seconds(of).toFixed(2),
      megabytes(middle(of, ({ written }) => written)),
      megabytes(middle(of, ({ read }) => read)),
      Number.isFinite(perGigabyte) ? perGigabyte.toFixed(2) : '',
      megabytes(middle(of, ({ memory }) => memory)),
    ];
  });
  const heads = [title, 'seconds', 'MB written', 'MB read', 'CPU s/GB', 'peak MB'];
  console.log(`\n${formatTable([heads, ...rows], [1, 2, 3, 4, 5])}\n`);
  console.log(formatTable([...goals.map((goal) => judge(goal, runs)), judgeMemory(runs)], [2]));
}

/** A row about the most that any piimg of these took. */
function judgeMemory(runs: Runs): string[] {
  const ours = Object.entries(runs).filter(([name]) => name.startsWith('piimg'));
  const most = Math.max(...ours.map(([, of]) => middle(of, ({ memory }) => memory)));
  const fits = most <= MEMORY;
  if (!fits) process.exitCode = 1;
  const goal = `goal ≤ ${MEMORY / 1e6} MB: ${fits ? 'ok' : 'MISSED'}`;
  return ['memory', 'the largest of piimg', (most / 1e6).toFixed(0), goal];
}

/** A row about the goal. A miss makes the exit code 1. */
function judge({ name, ours, theirs, most, when }: Goal, runs: Runs): string[] {
  const said = [name, `${ours} / ${theirs}`];
  const ratio = seconds(runs[ours]) / seconds(runs[theirs]);
  const wanted = `goal ≤ ${most.toFixed(2)}`;
  if (when !== undefined && seconds(runs[when]) > seconds(runs[theirs])) {
    return [...said, ratio.toFixed(3), `no goal: ${when} takes longer than ${theirs}`];
  }
  if (ratio > most) process.exitCode = 1;
  return [...said, ratio.toFixed(3), `${wanted}: ${ratio <= most ? 'ok' : 'MISSED'}`];
}

await runMain(main);
