// Reads stdin as cards do, several times; says the digests. `source-by-several.ts FOLDER READERS`
import { createHash } from 'node:crypto';
import { readSource } from '../../../src/flash/source/read.ts';
import { openSource, type Source } from '../../../src/flash/source/source.ts';
import { readBySeveral } from '../../../src/flash/source/spool.ts';

const [folder = '', readers = ''] = process.argv.slice(2);
const { signal } = new AbortController();

/** `halfway` is called when half a megabyte was read. */
async function digestOf(source: Source, halfway?: () => void): Promise<string> {
  const hash = createHash('sha256');
  let size = 0;
  for await (const piece of readSource(source, { signal })) {
    hash.update(piece);
    if (size < 500_000 && size + piece.length >= 500_000) halfway?.();
    size += piece.length;
  }
  return hash.digest('hex');
}

const source = await openSource('-', { signal });
const digests = await readBySeveral(source, { readers: Number(readers), folder }, async (from) => {
  if (!from.rereadable) return [await digestOf(from)];
  const { promise, resolve } = withResolvers();
  const first = digestOf(from, resolve);
  await promise;
  return Promise.all([first, digestOf(from)]);
});
console.log(JSON.stringify(digests));

function withResolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => {};
  const promise = new Promise<void>((settle) => (resolve = settle));
  return { promise, resolve };
}
