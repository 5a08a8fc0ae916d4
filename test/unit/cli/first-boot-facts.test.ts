// What the image has none of is refused before anything is written: no first boot says that it left it out.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { requireKnown } from '../../../src/cli/first-boot-facts.ts';
import { nodeOf } from '../../helpers/format-nodes.ts';
import { keyLine } from '../../helpers/ssh-keys.ts';
import { fakeView } from '../../helpers/vendor-view.ts';

const GROUPS = { 'etc/group': 'root:x:0:\nsudo:x:27:pi\ngpio:x:993:\n' };
const VIEW = fakeView(
  {},
  {
    ...GROUPS,
    'usr/share/i18n/SUPPORTED': 'de_DE.UTF-8 UTF-8\nde_DE ISO-8859-1\nen_GB.UTF-8 UTF-8\nen_IN UTF-8\nbe_BY CP1251\n',
    'usr/share/zoneinfo/Europe/Berlin': 'TZif2',
    'usr/share/zoneinfo/iso3166.tab': '# code\tname\nDE\tGermany\n',
  },
);
const user = (groups: string[]) => ({ users: [{ name: 'ann', keys: [keyLine()], groups }] });
const wifi = (country: string) => ({ network: { wifi: { ssid: 'home', country } } });

for (const [what, node, said] of [
  ['a group', user(['sudo', 'docker']), /knows no group docker/],
  ['a locale', { locale: 'fr_FR.UTF-8' }, /knows no locale fr_FR\.UTF-8/],
  ['a locale of another charset', { locale: 'be_BY.UTF-8' }, /knows no locale be_BY\.UTF-8/],
  ['a time zone', { timezone: 'Asia/Tokyo' }, /knows no time zone Asia\/Tokyo/],
  ['a country', wifi('FR'), /knows no country FR/],
] as const) {
  test(`${what} that the image does not know`, async () => {
    const error = await requireKnown(nodeOf(node), VIEW, 'systemd').catch((reason: unknown) => reason);
    assert.match((error as Error).message, said);
  });
}

test('what it knows, a user’s own group, and what an image does not tell', async () => {
  await requireKnown(
    nodeOf({ ...user(['gpio', 'ann']), locale: 'de_DE.UTF-8', timezone: 'Europe/Berlin' }),
    VIEW,
    'systemd',
  );
  await requireKnown(nodeOf(wifi('DE')), VIEW, 'systemd');
  // As they are written there, of libc itself, and groups that are made.
  for (const locale of ['en_IN.UTF-8', 'C.UTF-8']) await requireKnown(nodeOf({ locale }), VIEW, 'systemd');
  await requireKnown(nodeOf(user(['docker'])), VIEW, 'cloudinit');
  await requireKnown(nodeOf({ ...user(['docker']), locale: 'fr_FR.UTF-8' }), fakeView({}, {}), 'systemd');
});

test.run();
