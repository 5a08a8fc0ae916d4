// A small image of two layers, judged by the kernel's own ext4 and the stock fsck: for tests of the image stage.
import { execFileSync } from 'node:child_process';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { assembleImage, type AssembledImage, type AssembleInput } from '../../src/image/assemble.ts';
import type { Layer } from '../../src/layers/layer.ts';
import { minimalSeed } from '../../src/seed/minimal.ts';
import { asRoot } from './as-root.ts';
import { makeLayer } from './image-layers.ts';
import { imageTools } from './image-tools.ts';

export const BUILD_ID = 'c0ffee'.repeat(10);
export const LONG = `usr/share/${'a'.repeat(120)}/${'b'.repeat(150)}`;
export const BOOT = 16_384 * 512;
export const ROOT = 1_064_960 * 512;
/** cap_net_bind_service+ep, version 2 (linux/capability.h). */
const CAPABILITY = '0sAQAAAgAEAAAAAAAAAAAAAAAAAAA=';
export const work = await mkdtemp(join(tmpdir(), 'piimg-image-'));
process.on('exit', () => {
  const [program = '', ...args] = asRoot(['rm', '-rf', '--', work]);
  execFileSync(program, args);
});

/** Images that it has made belong to whoever runs the tests; what layers are made of does not. */
const GIVE_BACK = `find '${work}' -maxdepth 1 -type f -exec chown ${process.getuid?.()}:${process.getgid?.()} {} +`;

/** Runs a shell script as root (capabilities, foreign owners, loop devices); fails with what it printed. */
export async function sh(script: string, ...args: string[]): Promise<string> {
  const [program = '', ...command] = asRoot(['sh', '-euc', `${script}\n${GIVE_BACK}`, 'sh', ...args]);
  const { all } = await execa(program, command, { all: true, timeout: 120_000 });
  return all;
}

const LOWER = `
mkdir -p "$1" && cd "$1"
mkdir -p usr/bin usr/share boot/firmware/overlays etc old/deep var/log opaque
echo one > etc/hostname; echo gone > old/deep/file; echo hidden > opaque/lower
cp /bin/ls usr/bin/ping; cp /bin/cat usr/bin/zcat; ln usr/bin/zcat usr/bin/kept; ln usr/bin/zcat usr/bin/also
setfattr -n security.capability -v ${CAPABILITY} usr/bin/ping
mkdir -p "${LONG}" && echo deep > "${LONG}/file"
for n in 59 60 61; do ln -s "$(printf %0\${n}d 0)" "symlink_$n"; done
truncate -s 9M var/log/sparse; printf end >> var/log/sparse
head -c 3000000 /dev/urandom > usr/share/noise; : > etc/empty
echo owned > etc/owned; chown 1234:70000 etc/owned; chmod 4750 etc/owned
chmod 1777 var/log
echo lower > boot/firmware/config.txt; echo fw > boot/firmware/start4.elf; chmod 444 boot/firmware/start4.elf
for n in 1 2 3; do head -c 5000 /dev/urandom > "boot/firmware/overlays/a rather long name $n.dtbo"; done
`;
const UPPER = `
mkdir -p "$1" && cd "$1"
mkdir -p usr/bin etc boot/firmware opaque
echo new > usr/bin/zcat; echo two > etc/hostname; echo upper > boot/firmware/config.txt; echo seen > opaque/upper
`;

export const layers: Layer[] = [];
await sh(LOWER, join(work, 'lower'));
await sh(UPPER, join(work, 'upper'));
layers.push(await makeLayer(join(work, 'layer-lower'), join(work, 'lower')));
const hides = { whiteouts: ['old', 'usr/bin/also'], opaque: ['opaque'] };
layers.push(await makeLayer(join(work, 'layer-upper'), join(work, 'upper'), hides));

/** What the merged root must be, by hand: lower with upper's changes. */
await sh(
  `cp -a "$1/lower" "$1/expected" && cd "$1/expected" && rm -rf old opaque usr/bin/also usr/bin/zcat boot/firmware/*
   cp -a "$1/upper/usr" "$1/upper/etc" "$1/upper/opaque" . && chmod 1777 var/log`,
  work,
);

export const runTool = await imageTools();
export function assemble(
  name: string,
  from: Layer[] = layers,
  more: Partial<AssembleInput> = {},
): Promise<AssembledImage> {
  return assembleImage({
    layers: from,
    buildId: BUILD_ID,
    diskId: 0x1a2b3c4d,
    role: 'web',
    base: 'debian-trixie',
    logins: ['ann'],
    seed: minimalSeed(BUILD_ID),
    bootFiles: [{ path: 'cmdline.txt', content: Buffer.from('root=PARTUUID=1a2b3c4d-02\n') }],
    out: join(work, name),
    sourceDateEpoch: 1_700_000_000,
    runTool,
    step: { update: () => {}, note: () => {} },
    stable: from.slice(0, -1),
    ...more,
  });
}
/** fsck of both file systems and a comparison of every file, owner, mode and link with what is expected. */
export async function judge(disk: string, expected = 'expected'): Promise<void> {
  await sh(
    `part() { dd if="$1" of="$1.part" bs=1M iflag=skip_bytes,count_bytes skip=$2 count=$3 conv=sparse status=none; }
     part "$1" ${BOOT} $((1048576 * 512)); fsck.vfat -n "$1.part"; rm "$1.part"
     part "$1" ${ROOT} $(($(stat -c %s "$1") - ${ROOT})); e2fsck -fn "$1.part"
     mkdir -p "$1.mount"; mount -o loop,ro,noload "$1.part" "$1.mount"
     trap 'umount "$1.mount"; rm -rf "$1.part"' EXIT
     state() ( cd "$1"; find . -path ./lost+found -prune -o -printf '%p %y %m %U:%G %l\\n' | sort; find . -type f -exec sha256sum {} + | sort -k 2 )
     state "$2" > "$1.expected"; state "$1.mount" > "$1.found"; diff "$1.expected" "$1.found"
     getfattr -h --absolute-names -e base64 -n security.capability "$1.mount/usr/bin/ping" | grep -F ${CAPABILITY}
     [ "$(stat -c %h "$1.mount/usr/bin/kept")" = 1 ]`,
    disk,
    join(work, expected),
  );
}
