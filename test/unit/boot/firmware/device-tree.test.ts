// What is read in a device tree, and that damaged ones are recognised.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readDeviceTree } from '../../../../src/boot/firmware/device-tree.ts';
import { deviceTree, DOWNSTREAM, UPSTREAM } from './card.ts';

test('aliases and kernel arguments are read', () => {
  assert.equal(readDeviceTree(UPSTREAM), {
    aliases: { serial0: '/soc/serial@7e201000', serial1: '/soc/serial@7e215040' },
    bootargs: '',
  });
  assert.is(readDeviceTree(DOWNSTREAM)?.bootargs, 'coherent_pool=1M 8250.nr_uarts=1');
});

test('nodes of those names elsewhere do not count', () => {
  const tree = deviceTree({ 'aliases@1': { serial0: 'x' }, soc: { bootargs: 'x' } });
  assert.equal(readDeviceTree(tree), { aliases: {}, bootargs: '' });
});

test('what is cut off, empty or something else is no device tree', () => {
  for (let length = 0; length < UPSTREAM.length; length += 7) {
    assert.is(readDeviceTree(UPSTREAM.subarray(0, length)), undefined, `${length} bytes`);
  }
  assert.is(readDeviceTree(Buffer.alloc(4096)), undefined);
  assert.is(readDeviceTree(Buffer.from('x'.repeat(4096))), undefined);
});

test('a device tree that says it goes on is not whole', () => {
  const tree = Buffer.from(UPSTREAM);
  tree.writeUInt32BE(tree.length + 1, 4);
  assert.is(readDeviceTree(tree), undefined);
});

test('offsets that lead out of it are recognised', () => {
  for (const field of [8, 12]) {
    const tree = Buffer.from(UPSTREAM);
    tree.writeUInt32BE(0x7fffffff, field);
    assert.is(readDeviceTree(tree), undefined);
  }
  const unknownToken = Buffer.from(UPSTREAM);
  unknownToken.writeUInt32BE(7, 40);
  assert.is(readDeviceTree(unknownToken), undefined);
});

test.run();
