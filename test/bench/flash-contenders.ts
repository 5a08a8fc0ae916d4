// What is compared when cards are written: the commands, and what the one must not exceed of the other.
import path from 'node:path';
import { packageRoot } from '../../src/host/package-root.ts';
import type { BenchImage } from './flash-image.ts';

/** The one place that knows piimg's command line. `main` is the compiled program. */
export function piimgFlash(main: string | undefined, image: string, cards: string[], ...more: string[]): string[] {
  const program = main ?? path.join(packageRoot, 'dist/cli/main.js');
  const agreed = ['--yes', '--allow-fixed', ...cards.flatMap((card) => ['--confirm', path.basename(card)])];
  const options = [...agreed, '--no-login', '--progress', 'silent', '--json', ...more];
  return [process.execPath, program, 'flash', image, ...cards, ...options];
}

/** A program at work on cards. */
export interface Contender {
  name: string;
  command: (cards: string[]) => string[];
}

/** How many times as long as the other's ours may take. */
export interface Goal {
  name: string;
  ours: string;
  theirs: string;
  most: number;
  /** Names who must itself be quicker than the other; else nothing is asked. */
  when?: string;
}

const shell = (script: string, ...words: string[]): string[] => [
  'bash',
  '-euo',
  'pipefail',
  '-c',
  script,
  'bash',
  ...words,
];

const WRITE = 'dd of="$1" bs=4M oflag=direct conv=fsync status=none';

/** On one card. */
export function contendersFor(image: BenchImage, main: string | undefined): Contender[] {
  const dd = (source: string) => (cards: string[]) => shell(`${WRITE} if="$2"`, ...cards, source);
  const piimg =
    (source: string, ...more: string[]) =>
    (cards: string[]) =>
      piimgFlash(main, source, cards, ...more);
  const bmaptool = ['bmaptool', '-q', 'copy', '--bmap', image.bmap, image.withMap];
  return [
    { name: 'dd', command: dd(image.plain) },
    { name: 'piimg', command: piimg(image.plain, '--no-verify') },
    { name: 'bmaptool', command: (cards) => [...bmaptool, ...cards] },
    { name: 'piimg, block map', command: piimg(image.withMap, '--no-verify') },
    { name: 'dd out and back', command: (cards) => outAndBack(image, cards) },
    { name: 'dd, back beside out', command: (cards) => backBeside(image, cards) },
    { name: 'piimg, block map, verified', command: piimg(image.withMap) },
    { name: 'xz alone', command: () => shell('xz -dc "$1" >/dev/null', image.xz) },
    { name: 'xz | dd', command: (cards) => shell(`xz -dc "$2" | ${WRITE} iflag=fullblock`, ...cards, image.xz) },
    { name: 'piimg, xz', command: piimg(image.xz, '--no-verify') },
    { name: 'zstd alone', command: () => shell('zstd -qdc "$1" >/dev/null', image.zst) },
    { name: 'piimg, zst', command: piimg(image.zst, '--no-verify') },
  ];
}

/** On several cards; dd shows what this computer can do at all. */
export function fourFor(image: BenchImage, main: string | undefined): Contender[] {
  return [
    { name: 'dd, one', command: (cards) => outAndBack(image, cards.slice(0, 1)) },
    { name: 'piimg, one', command: (cards) => piimgFlash(main, image.withMap, cards.slice(0, 1)) },
    { name: 'dd, four', command: (cards) => outAndBack(image, cards) },
    { name: 'piimg, four', command: (cards) => piimgFlash(main, image.withMap, cards) },
    { name: 'piimg, four, xz', command: (cards) => piimgFlash(main, image.xz, cards) },
  ];
}

/** A speed of at least 0.98. */
const NEARLY = 1 / 0.98;

export const GOALS: Goal[] = [
  { name: 'as it is', ours: 'piimg', theirs: 'dd', most: NEARLY },
  { name: 'with a block map', ours: 'piimg, block map', theirs: 'bmaptool', most: 1 },
  { name: 'and verified', ours: 'piimg, block map, verified', theirs: 'dd out and back', most: 1.05 },
  { name: 'from xz', ours: 'piimg, xz', theirs: 'dd', most: NEARLY, when: 'xz alone' },
  { name: 'from zst', ours: 'piimg, zst', theirs: 'dd', most: NEARLY, when: 'zstd alone' },
];

/** Four cards at once, beside one. */
export const GOAL_OF_FOUR: Goal = { name: 'four at once', ours: 'piimg, four', theirs: 'piimg, one', most: 1.15 };

const OUT_AND_BACK = `
one() { ${WRITE} if="$2"; dd if="$1" of=/dev/null bs=4M iflag=direct,count_bytes count="$3" status=none; }
for card in "\${@:3}"; do one "$card" "$1" "$2" & pids+=($!); done
for pid in "\${pids[@]}"; do wait "$pid"; done`;

/** Each piece of 64 MiB is read back while the next one is written. */
const BACK_BESIDE = `
piece=$((64 << 20)); pid=
back() { dd if="$1" of=/dev/null bs=4M iflag=direct,skip_bytes,count_bytes skip="$2" count="$piece" status=none; }
for ((at = 0; at < $3; at += piece)); do
  dd if="$2" of="$1" bs=4M iflag=skip_bytes,count_bytes oflag=direct,seek_bytes skip="$at" seek="$at" count="$piece" conv=fsync status=none & pid=$!
  ((at == 0)) || back "$1" $((at - piece))
  wait "$pid"
done
piece=$(($3 - at + piece)); back "$1" $(($3 - piece))`;

/** What is gained by reading back beside writing, not after it: what `dd out and back` is compared with. One card. */
const backBeside = ({ blocks, mapped }: BenchImage, cards: string[]): string[] =>
  shell(BACK_BESIDE, ...cards, blocks, String(mapped));

/** The mapped blocks written and read back, on all cards at once, by programs that do nothing else: no writer that verifies can be quicker. */
function outAndBack({ blocks, mapped }: BenchImage, cards: string[]): string[] {
  return shell(OUT_AND_BACK, blocks, String(mapped), ...cards);
}
