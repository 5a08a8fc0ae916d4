// An image of a boot partition alone, with header and seed slots: made in no time, for tests of `piimg seed`.
import { open, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { run } from '../../src/host/exec.ts';
import { findInFat, openFat } from '../../src/image/fat.ts';
import { encodeHeader } from '../../src/image/header.ts';
import { HEADER_LBA } from '../../src/image/layout.ts';
import { encodeMbr, SECTOR } from '../../src/image/mbr.ts';
import type { SeedSlot } from '../../src/image/manifest.ts';
import { readerOf } from '../../src/image/ranges.ts';
import { minimalSeed } from '../../src/seed/minimal.ts';
import { temporaryFolder } from './temporary.ts';

export const BUILD_ID = 'c0ffee11'.repeat(8);
/** A slot that is the machine's to write, not the seed's. */
export const OTHER = { name: 'other.json', content: Buffer.from('{"mine":true}\n') };

const START = 16_384;
/** The least that FAT32 takes: 65,525 clusters, here of 512 bytes, so that every slot has many. */
const SECTORS = 70_000;

/** As little of cloud-init's schemas as shows whether they are asked. */
export const SCHEMAS = {
  'schema-cloud-config-v1.json.gz': {
    $schema: 'http://json-schema.org/draft-04/schema#',
    type: 'object',
    properties: { hostname: { type: 'string', pattern: '^[a-z0-9.-]*$' }, timezone: { enum: ['Europe/Berlin'] } },
  },
  'schema-network-config-v2.json.gz': {
    $schema: 'http://json-schema.org/draft-07/schema#',
    type: 'object',
    additionalProperties: false,
    properties: { version: { enum: [2] }, ethernets: { type: 'object' } },
  },
};

/** Commands of mtools on the boot partition, as another computer would do them. */
export const mtools = (image: string, program: string, ...args: string[]) =>
  run([program, '-i', `${image}@@${START * SECTOR}`, ...args], { env: { MTOOLS_SKIP_CHECK: '1' } });

/** Makes `web.img` in a new folder; without `schemas` as an older build did. Returns the folder. */
export async function seedImage({ schemas = true } = {}): Promise<string> {
  const folder = temporaryFolder();
  const image = join(folder, 'web.img');
  const file = await open(image, 'w+');
  await file.truncate((START + SECTORS) * SECTOR);
  await file.write(encodeMbr(0x1a2b3c4d, [{ number: 1, type: 0x0c, start: START, sectors: SECTORS }]), 0, SECTOR, 0);
  const place = ['--offset', `${START}`, '-h', `${START}`];
  await run(['mkfs.vfat', '-F', '32', '-s', '1', ...place, image, `${(SECTORS * SECTOR) / 1024}`]);
  const files: { name: string; content: Buffer }[] = [...minimalSeed(BUILD_ID), OTHER];
  for (const { name, content } of files) {
    await writeFile(join(folder, name), content);
    await mtools(image, 'mcopy', join(folder, name), `::${name}`);
  }
  if (schemas) await mtools(image, 'mmd', '::piimg');
  for (const [name, schema] of Object.entries(schemas ? SCHEMAS : {})) {
    await writeFile(join(folder, name), gzipSync(JSON.stringify(schema)));
    await mtools(image, 'mcopy', join(folder, name), `::piimg/${name}`);
  }
  const volume = await openFat(readerOf(file), START * SECTOR);
  const slots: SeedSlot[] = [];
  for (const { name, content } of files) {
    const entry = await findInFat(volume, name);
    slots.push({ name: name as SeedSlot['name'], offset: entry?.ranges[0]?.offset ?? 0, length: content.length });
  }
  const header = { buildId: BUILD_ID, role: 'web', base: 'debian-trixie', slots, partitions: [], created: 0 };
  const bytes = encodeHeader(header);
  await file.write(bytes, 0, bytes.length, HEADER_LBA * SECTOR);
  await file.close();
  return folder;
}

/** Rejects with what fsck.vfat says when the boot partition is not clean. Only reads. */
export async function checkFat(image: string): Promise<void> {
  const part = `${image}.fat`;
  await run(['dd', `if=${image}`, `of=${part}`, `skip=${START}`, `bs=${SECTOR}`, 'conv=sparse', 'status=none']);
  await run(['fsck.vfat', '-n', part]).finally(() => rm(part, { force: true }));
}
