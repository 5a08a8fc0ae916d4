// What keeps a machine from becoming its role before a step has changed anything: told with its reason and what to do.
import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Result } from '../../../src/lib/first-boot.ts';
import { withRoot, type Root } from '../../helpers/first-boot.ts';
import { DOCUMENT, loadBalancer } from '../../helpers/load-balancer.ts';

/** What goes wrong: what is said, with what to do. */
const failures: { name: string; make: (root: Root) => Promise<void>; message: RegExp; hint: RegExp; step?: string }[] =
  [
    {
      name: 'a document that is not JSON',
      make: (root) => root.write('boot/firmware/piimg.json', '{"version": 1, '),
      message: /^The node document is not JSON\.$/,
      hint: /piimg seed --in-place/,
    },
    {
      name: 'a document with a wrong field',
      make: (root) => root.document({ peers: { web: [{ name: 'pi-web1', addresses: [] }] } }),
      message: /^The node document is not valid: peers\/web\/0\/addresses: /,
      hint: /piimg seed/,
    },
    {
      name: 'a document with a field nobody knows',
      make: (root) => root.document({ hostname: 'pi' }),
      message: /^The node document is not valid: .*hostname/,
      hint: /piimg seed/,
    },
    {
      name: 'a document for another build',
      make: (root) => root.document({ buildId: 'ab'.repeat(32) }),
      message: /^The node document is for another image: it names build abababababab, this is c0ffeec0ffee\.$/,
      hint: /the image that is on this card/,
    },
    {
      name: 'a document for another role',
      make: (root) => root.document({ role: 'db' }),
      message: /^The node document is for role db; this image is web\.$/,
      hint: /image that is on this card/,
    },
    {
      name: 'a document that is gone',
      make: (root) => rm(root.paths.document),
      message: /piimg\.json cannot be read: ENOENT/,
      hint: /Write the card again/,
    },
    {
      name: 'a secret that this machine was never given',
      make: (root) => root.document({ secrets: { token: null } }),
      message: /no value for secrets\.token\.$/,
      hint: /--secret/,
    },
    {
      name: 'a step of a kind nobody knows',
      make: (root) =>
        root.write(
          'usr/lib/piimg/role.json',
          JSON.stringify({ role: 'web', provision: [{ step: 'dance', name: 'it' }] }),
        ),
      message: /^Step it is a dance, which this agent does not know$/,
      hint: /Build the image again/,
      step: 'it',
    },
    {
      name: 'a template that names what the node does not have',
      make: (root) => root.document({ ...DOCUMENT, secrets: {} }),
      message: /^node\/upstreams\.conf of overlay lb: line 4: unknown name `secrets\.token`/,
      hint: /--secret token=FILE/,
      step: 'upstreams',
    },
    {
      name: 'a template over peers that the node does not have',
      make: (root) => root.document({ ...DOCUMENT, peers: {} }),
      message: /line 1: unknown name `peers\.web`/,
      hint: /Name the machines of role web/,
      step: 'upstreams',
    },
  ];

for (const { name, make, message, hint, step } of failures) {
  test(`${name}: nothing is changed, and the result says why`, async () => {
    await withRoot(async (root) => {
      await loadBalancer(root);
      await make(root);
      const { result } = await root.boot();
      assert.is(result.status, 'failed');
      assert.match(result.failure?.message ?? '', message);
      assert.match(result.failure?.hint ?? '', hint);
      assert.is(result.failure?.step, step);
      assert.not.ok(existsSync(root.machine.at('etc/lb')));
      assert.equal(
        JSON.parse(await root.read('boot/firmware/piimg-result.json')).failure.message,
        result.failure?.message,
      );
    });
  });
}

/** A file system of 64 KiB in memory, with no room left. */
const full = (folder: string): string =>
  `mkdir -p '${folder}'; mount -t tmpfs -o size=64k tmpfs '${folder}'; dd if=/dev/zero of='${folder}/filler' bs=4k 2>/dev/null || :`;

test('a full card: the boot partition and the journal say so, with what to do', async () => {
  await withRoot(async (root) => {
    await loadBalancer(root);
    const { log } = await root.boot(full(root.machine.at('var/lib')));
    const { status, failure } = JSON.parse(await root.read('boot/firmware/piimg-result.json')) as Result;
    assert.is(status, 'failed');
    assert.match(failure?.message ?? '', 'ENOSPC');
    assert.match(failure?.hint ?? '', /^The card is full: .*piimg-firstboot retry$/);
    assert.match(log.join('\n'), /^<3>piimg: pi-lb1 is NOT web: failed: ENOSPC/m);
    // With room again it goes on.
    assert.is((await root.boot()).result.status, 'applied');
  });
});

test('a disk that becomes full by a step: the step is named, nothing of its file stays', async () => {
  await withRoot(async (root) => {
    await root.role([{ step: 'template', name: 'note', overlay: 'lb', template: 'note', destination: '/srv/note' }]);
    await root.write('usr/lib/piimg/node/lb/note', 'x'.repeat(8192));
    const listing = root.machine.at('listing');
    await root.program('sync', '');
    const { result } = await root.boot(
      `${full(root.machine.at('srv'))}\nset -- sh -c '"$@"; ls -A "$0" >"${listing}"' '${root.machine.at('srv')}' "$@"`,
    );
    assert.is(result.failure?.step, 'note');
    assert.match(result.failure?.message ?? '', 'ENOSPC');
    assert.match(result.failure?.hint ?? '', 'The card is full');
    assert.is(await root.read('listing'), 'filler\n');
  });
});

test('a card that can only be read: told on the journal, with what to do; as nothing can be kept, nothing is', async () => {
  await withRoot(async (root) => {
    await loadBalancer(root);
    // In memory, as on every machine.
    await root.write('run/nothing', '');
    await mkdir(root.machine.at('var/lib'), { recursive: true });
    const { dir } = root;
    const { result, log } = await root.boot(
      `mount --bind '${dir}' '${dir}'; mount -o remount,bind,ro '${dir}'; mount -t tmpfs tmpfs '${dir}/run'`,
    );
    assert.equal(result, {});
    assert.match(log.join('\n'), /^<3>piimg: .* is NOT \w+: failed: EROFS/m);
    assert.match(log.join('\n'), /^<3>The card cannot be written to: check its lock switch/m);
    assert.not.ok(existsSync(root.machine.at('etc/lb')));
    assert.is((await root.boot()).result.status, 'applied');
  });
});

test.run();
