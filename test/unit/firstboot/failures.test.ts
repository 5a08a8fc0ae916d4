// What keeps a machine from becoming its role before a step has changed anything: told with its reason and what to do.
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
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

test.run();
