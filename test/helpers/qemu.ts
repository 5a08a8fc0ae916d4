// Boots an image in QEMU as a Pi's firmware would: what to start is read from the image's own boot partition.
import { once } from 'node:events';
import { mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stripVTControlCharacters } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { dieWithParent, run } from '../../src/host/exec.ts';
import { findInFat, openFat, readFromFat } from '../../src/image/fat.ts';
import { parseMbr, SECTOR } from '../../src/image/mbr.ts';
import { readerOf } from '../../src/image/ranges.ts';

/** Lines of the console that a failure shows. */
const TAIL = 60;

const OFF = 'the machine switched itself off';

/** The boot partition's files as the Pi's firmware picks them, on the host. */
interface BootFiles {
  kernel: string;
  initramfs: string;
  dtb: string;
  cmdline: string;
}

/** Of the Raspberry Pi Foundation's range: a card with an address of QEMU's own Linux would call usb0, not eth0 as on a Pi. */
const PI_MAC = 'b8:27:eb:12:34:56';

interface Machine {
  /** Bytes of the smallest card: piimg's images are smaller, so that their root must grow. */
  cardSize: number;
  /** Filters of config.txt that hold for it, beside [all]. */
  filters: string[];
  /** Appended to cmdline.txt. */
  cmdline: string;
  args(files: BootFiles, card: string, net: string, serial: (number: number) => string): string[][];
}

const MACHINES = {
  virt: {
    cardSize: 4 * 2 ** 30,
    filters: [],
    cmdline: 'console=ttyAMA0',
    args: (_files, card, net, serial) => [
      ['-M', 'virt', '-cpu', 'cortex-a72', '-smp', '2', '-m', '1024', '-serial', serial(0)],
      ['-drive', `if=none,id=card,file=${card}`, '-device', 'virtio-blk-pci,drive=card'],
      ['-netdev', net, '-device', 'virtio-net-pci,netdev=net,romfile=', '-device', 'virtio-rng-pci'],
    ],
  },
  raspi3b: {
    // QEMU's SD controller takes powers of two only.
    cardSize: 2 * 2 ** 30,
    filters: ['pi3', 'board-type=0x08'],
    // The watchdog resets QEMU's machine as soon as it is armed.
    cmdline: 'console=ttyAMA0,115200 systemd.watchdog_sec=off',
    args: ({ dtb }, card, net, serial) => [
      // Serial 0 is the PL011, ttyAMA0; serial 1 the mini UART, ttyS1.
      ['-M', 'raspi3b', '-dtb', dtb, '-serial', serial(0), '-serial', serial(1)],
      ['-drive', `if=sd,file=${card}`, '-netdev', net, '-usb', '-device', `usb-net,netdev=net,mac=${PI_MAC}`],
    ],
  },
} satisfies Record<string, Machine>;

export interface Guest {
  /** The throw-away card, a qcow2 over the image. */
  card: string;
  cmdline: string;
  /** Host port by guest port. */
  ports: Record<number, number>;
  /** All the console has said, without colours. */
  console(): Promise<string>;
  /** Until the console has said it; fails when QEMU ends before. */
  said(pattern: RegExp): Promise<RegExpExecArray>;
  /** Until `attempt` gives something; a rejection counts as nothing yet. Fails when QEMU ends before. */
  until<T>(what: string, attempt: () => Promise<T | undefined>): Promise<T>;
  /** Until the machine has switched itself off. */
  off(): Promise<void>;
}

/**
 * Boots `image` on `machine` for the time of `work`. Nothing is written to the image: the card is an overlay in `folder`.
 * QEMU ends with `work`, with this process, and after `minutes`. Whatever fails carries the end of the console.
 */
export async function withQemu<T>(
  options: { machine: keyof typeof MACHINES; image: string; folder: string; forward: number[]; minutes: number },
  work: (guest: Guest) => Promise<T>,
): Promise<T> {
  const { image, folder, forward, minutes } = options;
  const machine: Machine = MACHINES[options.machine];
  await mkdir(folder, { recursive: true });
  const files = await readBootFiles(image, machine, folder);
  const card = path.join(folder, 'card.qcow2');
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', image, card, String(machine.cardSize)]);
  const ports = await freePorts(forward);
  const net = ['user,id=net', ...forward.map((port) => `hostfwd=tcp:127.0.0.1:${ports[port]}-:${port}`)].join(',');
  const serial = (number: number): string => path.join(folder, `serial${number}.log`);
  const cmdline = `${files.cmdline} ${machine.cmdline}`;
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), minutes * 60_000);
  const qemu = run(
    dieWithParent(
      [
        ['qemu-system-aarch64', '-display', 'none', '-monitor', 'none', '-no-reboot'],
        ...machine.args(files, card, net, (number) => `file:${serial(number)}`),
        ['-kernel', files.kernel, '-initrd', files.initramfs, '-append', cmdline],
      ].flat(),
    ),
    { signal: stop.signal },
  );
  let ending: string | undefined;
  // QEMU ends well also when it is told to end.
  const end = (how: string) => (ending = stop.signal.aborted ? `not done within ${minutes} minutes` : how);
  const ended = qemu.then(
    () => end(OFF),
    (error: Error) => end(`QEMU failed: ${error.message}`),
  );
  const text = async (): Promise<string> =>
    stripVTControlCharacters(await readFile(serial(0), 'latin1').catch(() => '')).replaceAll('\r', '');

  const until: Guest['until'] = async (what, attempt) => {
    for (;;) {
      const over = ending;
      const found = await attempt().catch(() => undefined);
      if (found !== undefined) return found;
      if (over !== undefined) throw new Error(`${options.machine}: waiting for ${what}, ${over}`);
      await Promise.race([sleep(500), ended]);
    }
  };
  const guest: Guest = {
    card,
    cmdline,
    ports,
    console: text,
    said: (pattern) => until(`${pattern} on the console`, async () => pattern.exec(await text()) ?? undefined),
    until,
    async off() {
      if ((await ended) !== OFF) throw new Error(`${options.machine}: ${ending}`);
    },
  };
  try {
    return await work(guest);
  } catch (error) {
    const tail = (await text()).trimEnd().split('\n').slice(-TAIL);
    (error as Error).message += `\nThe console's last lines:\n  ${tail.join('\n  ')}`;
    throw error;
  } finally {
    clearTimeout(timer);
    stop.abort();
    await ended;
  }
}

/** The firmware's part: config.txt and cmdline.txt name what to load (raspberrypi.com, "config.txt"). */
async function readBootFiles(image: string, machine: Machine, folder: string): Promise<BootFiles> {
  const file = await open(image);
  try {
    const read = readerOf(file);
    const [boot] = parseMbr(await read(0, SECTOR)).entries;
    const fat = await openFat(read, (boot?.start ?? 0) * SECTOR);
    const content = async (name: string): Promise<Buffer> => {
      const entry = await findInFat(fat, name);
      if (entry === undefined) throw new Error(`There is no ${name} on the boot partition.`);
      return readFromFat(fat, entry);
    };
    const extract = async (name: string): Promise<string> => {
      const to = path.join(folder, name);
      const bytes = await content(name);
      // The Pi's firmware unpacks gzip; QEMU does not.
      await writeFile(to, bytes.readUInt16BE(0) === 0x1f8b ? gunzipSync(bytes) : bytes);
      return to;
    };
    const config = readConfig((await content('config.txt')).toString(), machine.filters);
    return {
      kernel: await extract(config.get('kernel') ?? 'kernel8.img'),
      initramfs: await extract(config.get('initramfs')?.split(' ')[0] ?? ''),
      dtb: await extract('bcm2837-rpi-3-b.dtb'),
      cmdline: (await content('cmdline.txt')).toString().trim(),
    };
  } finally {
    await file.close();
  }
}

/** Settings outside of sections and in those of `filters`; the last one of a name counts. */
function readConfig(text: string, filters: string[]): Map<string, string> {
  const settings = new Map<string, string>();
  let applies = true;
  for (const line of text.split('\n').map((raw) => raw.trim())) {
    const section = /^\[(.*)\]$/.exec(line)?.[1];
    if (section !== undefined) applies = section === 'all' || filters.includes(section);
    // `initramfs` alone is written without an equals sign.
    const [, name, value] = /^(initramfs)\s+(.*)$/.exec(line) ?? /^(\w+)=(.*)$/.exec(line) ?? [];
    if (applies && name !== undefined && value !== undefined) settings.set(name, value);
  }
  return settings;
}

/** Free TCP ports of 127.0.0.1, one for each of the guest's. */
async function freePorts(guestPorts: number[]): Promise<Record<number, number>> {
  const servers = guestPorts.map(() => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const free = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
  return Object.fromEntries(guestPorts.map((port, index) => [port, free[index] ?? 0]));
}
