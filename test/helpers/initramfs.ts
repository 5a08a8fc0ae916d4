// Reads and writes initramfs archives: newc cpio parts one after the other, the last one compressed (kernel: early-userspace/buffer-format).
import { execa } from 'execa';

const HEADER = 110;
const padded = (length: number): number => Math.ceil(length / 4) * 4;

export interface CpioFile {
  path: string;
  mode: number;
  content: Buffer;
}

/** All entries, those of the compressed part too. */
export async function readInitramfs(bytes: Buffer): Promise<CpioFile[]> {
  const files: CpioFile[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (bytes.readUInt8(at) === 0) {
      at++;
    } else if (bytes.readUInt32BE(at) === 0x28b52ffd) {
      files.push(...(await readInitramfs(await zstd(['-dc'], bytes.subarray(at)))));
      break;
    } else {
      at = readPart(bytes, at, files);
    }
  }
  return files;
}

function readPart(bytes: Buffer, start: number, into: CpioFile[]): number {
  for (let at = start; ;) {
    if (bytes.toString('latin1', at, at + 6) !== '070701')
      throw new Error(`byte ${at} of the initramfs is no cpio entry`);
    const field = (index: number): number =>
      parseInt(bytes.toString('latin1', at + 6 + index * 8, at + 14 + index * 8), 16);
    const [mode, size, nameSize] = [field(1), field(6), field(11)];
    const path = bytes.toString('utf8', at + HEADER, at + HEADER + nameSize - 1);
    const data = at + padded(HEADER + nameSize);
    at = data + padded(size);
    if (path === 'TRAILER!!!') return at;
    into.push({ path, mode, content: bytes.subarray(data, data + size) });
  }
}

/** An initramfs of an uncompressed part and a compressed one, as Debian's are. */
export async function makeInitramfs(early: CpioFile[], late: CpioFile[]): Promise<Buffer> {
  return Buffer.concat([cpio(early), Buffer.alloc(512), await zstd(['-c'], cpio(late))]);
}

function cpio(files: CpioFile[]): Buffer {
  const entries = [...files, { path: 'TRAILER!!!', mode: 0, content: Buffer.alloc(0) }].map(
    ({ path, mode, content }) => {
      const fields = [0, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, path.length + 1, 0];
      const header = `070701${fields.map((value) => value.toString(16).padStart(8, '0')).join('')}${path}\0`;
      return Buffer.concat([
        Buffer.from(header.padEnd(padded(header.length), '\0')),
        content,
        Buffer.alloc(padded(content.length) - content.length),
      ]);
    },
  );
  return Buffer.concat(entries);
}

async function zstd(args: string[], input: Buffer): Promise<Buffer> {
  const { stdout } = await execa('zstd', ['-q', ...args], { input, encoding: 'buffer', timeout: 60_000 });
  return Buffer.from(stdout);
}
