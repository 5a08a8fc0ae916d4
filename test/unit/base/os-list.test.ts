// Which image of a list a base means: nested entries, further lists, pins, and what is said when there is none.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { findListed, resolved, type ListedImage, type Wanted } from '../../../src/base/os-list.ts';
import { EXIT, PiimgError } from '../../../src/lib/errors.ts';

const LIST = 'https://example.org/os/list.json';
const names = ['Lite (64-bit)'];
const digest = (digit: string): string => digit.repeat(64);

/** An entry as Imager's lists have it; undefined leaves a key out. */
const entry = (more: Record<string, unknown> = {}): Record<string, unknown> => ({
  name: 'Lite (64-bit)',
  description: 'No desktop',
  icon: 'icon.png',
  url: '/images/lite.img.xz',
  extract_size: 4096,
  extract_sha256: digest('a'),
  image_download_size: 512,
  release_date: '2026-06-18',
  devices: ['pi4-64bit'],
  ...more,
});
const list = (...entries: unknown[]): string => JSON.stringify({ imager: {}, os_list: entries });

/** What is found in lists by address. */
function find(lists: Record<string, string>, wanted: Wanted = { names }): Promise<ListedImage> {
  return findListed(LIST, wanted, (address) => {
    const text = lists[address];
    return text === undefined
      ? Promise.reject(new PiimgError(`${address}: the server answers 404`))
      : Promise.resolve(text);
  });
}

async function refusal(lists: Record<string, string>, wanted?: Wanted): Promise<PiimgError> {
  const error: unknown = await find(lists, wanted).catch((caught: unknown) => caught);
  assert.instance(error, PiimgError);
  return error as PiimgError;
}

test('the newest of its name, wherever it is nested, and not the one for armhf', async () => {
  const nested = entry({ release_date: '2026-09-15', extract_sha256: digest('B'), image_download_sha256: digest('c') });
  const armhf = entry({ release_date: '2027-01-01', architecture: 'armhf' });
  const other = entry({ name: 'Desktop', release_date: '2027-01-01' });
  const text = list(entry(), other, { name: 'others', subitems: [{ name: 'deep', subitems: [nested, armhf] }] });
  assert.equal(await find({ [LIST]: text }), {
    name: 'Lite (64-bit)',
    address: 'https://example.org/images/lite.img.xz',
    sha256: digest('b'),
    size: 4096,
    packed: { sha256: digest('c'), size: 512 },
    released: '2026-09-15',
  });
});

test('lists that the list names are read where it has no such image itself; one that is gone stands in nobody’s way', async () => {
  const gone = { name: 'Others', subitems_url: 'https://gone.example/list.json' };
  const further = { name: 'More', subitems_url: 'more.json' };
  const more = list(entry(), { name: 'Round', subitems_url: LIST });
  const found = await find({ [LIST]: list(gone, further), 'https://example.org/os/more.json': more });
  assert.is(found.released, '2026-06-18');
  const unread = await refusal({ [LIST]: list(gone) });
  assert.match(unread.message, `${LIST} has no image “Lite (64-bit)”`);
  assert.match(unread.detail ?? '', 'https://gone.example/list.json: the server answers 404');
});

test('a digest, packed or not, is the one of an older image too', async () => {
  const old = entry({ extract_sha256: digest('d'), image_download_sha256: digest('e'), release_date: '2025-12-04' });
  const lists = { [LIST]: list(entry(), old) };
  for (const pin of [digest('d'), digest('e')]) assert.is((await find(lists, { names, pin })).released, '2025-12-04');
  const error = await refusal(lists, { names, pin: digest('f') });
  assert.match(error.message, `no image of the sha256 ${digest('f')}`);
  assert.match(error.message, digest('a'));
  assert.match(error.hint ?? '', '--base FILE');
});

test('what a list lacks is named', async () => {
  const lacking: [text: string, message: RegExp][] = [
    ['<html>', /it is not JSON/],
    ['[]', /it has no `os_list`/],
    [list(entry({ extract_sha256: undefined, release_date: 'soon' })), /has no right extract_sha256, release_date$/],
    [list(entry({ extract_size: '4096' })), /“Lite \(64-bit\)” has no right extract_size$/],
    [list(entry({ name: 'Lite (32-bit)' })), /has no image “Lite \(64-bit\)”$/],
  ];
  for (const [text, message] of lacking) {
    const error = await refusal({ [LIST]: text });
    assert.match(error.message, message);
    assert.match(error.message, LIST);
    assert.is(error.exitCode, EXIT.usage);
    assert.match(error.hint ?? '', /--os-list/);
  }
  assert.match(
    (await refusal({ [LIST]: list(entry({ name: 'Lite (32-bit)' })) })).hint ?? '',
    'It has “Lite (32-bit)”.',
  );
  assert.match((await refusal({})).message, `${LIST}: the server answers 404`);
});

test('addresses are relative to the list; a server’s list names no file of this machine', () => {
  assert.is(resolved(LIST, 'a.img.xz'), 'https://example.org/os/a.img.xz');
  assert.is(resolved('/srv/list.json', 'images/a.img.xz'), '/srv/images/a.img.xz');
  assert.is(resolved('/srv/list.json', 'file:///mnt/a%20b.img'), '/mnt/a b.img');
  assert.is(resolved('/srv/list.json', LIST), LIST);
  for (const address of ['file:///etc/shadow', 'ftp://example.org/a.img']) {
    assert.throws(() => resolved(LIST, address), /no address of a server/);
  }
});

test.run();
