// What is read in a device tree, and that damaged ones are recognised.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { fillDeviceTree, readDeviceTree } from '../../../../src/boot/firmware/device-tree.ts';
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
  for (const field of [8, 12, 16, 32]) {
    const tree = Buffer.from(UPSTREAM);
    tree.writeUInt32BE(0x7fffffff, field);
    assert.is(readDeviceTree(tree), undefined);
  }
  const old = Buffer.from(UPSTREAM);
  old.writeUInt32BE(16, 20);
  assert.is(readDeviceTree(old), undefined, 'its header says less');
  const unnamed = Buffer.from(UPSTREAM);
  unnamed.writeUInt32BE(0, 32);
  assert.is(readDeviceTree(unnamed), undefined, 'names lie outside their block');
  const unknownToken = Buffer.from(UPSTREAM);
  unknownToken.writeUInt32BE(7, unknownToken.readUInt32BE(8));
  assert.is(readDeviceTree(unknownToken), undefined);
});

const CARD = { mac: 'b8:27:eb:12:34:00' };
/** The helper writes strings: the zero that ends one is the address's last byte. */
const ADDRESS = '\xb8\x27\xeb\x12\x34';
const NAME = 'local-mac-address';

/** Sources: raspberrypi/firmware#613 (the node of the alias), #846 (its name since Linux 4.12), raspberrypi/linux#1679 (the property). */
test('the Ethernet card that an alias names gets its address', () => {
  for (const alias of ['ethernet0', 'ethernet']) {
    const aliases = { [alias]: '/net' };
    const filled = fillDeviceTree(deviceTree({ aliases, net: {} }), CARD);
    assert.equal(filled, deviceTree({ aliases, net: { [NAME]: ADDRESS } }), alias);
  }
  const both = { ethernet: '/old', ethernet0: '/net' };
  const filled = fillDeviceTree(deviceTree({ aliases: both, old: {}, net: {} }), CARD);
  assert.equal(filled, deviceTree({ aliases: both, old: {}, net: { [NAME]: ADDRESS } }));
});

test('an address that is there is replaced, whatever its length', () => {
  const others = { compatible: 'usb424,ec00' };
  const tree = (value: string): Buffer =>
    deviceTree({ other: { [NAME]: 'mine' }, aliases: { ethernet0: '/net' }, net: { [NAME]: value, ...others } });
  for (const value of ['', 'x', '12345', 'longer than any']) {
    assert.equal(fillDeviceTree(tree(value), CARD), tree(ADDRESS), value);
  }
});

test('what the machine lacks is disabled or left out, and no other node changes', () => {
  const devices = { gpu: { compatible: 'gpu', status: 'okay', port: { status: 'okay' } }, other: { status: 'okay' } };
  const tree = deviceTree({ ...devices, mmc: { compatible: 'mmc', 'mmc-pwrseq': 'wifi', status: 'okay' } });
  const hardware = { disable: ['/gpu', '/nowhere'], remove: [{ node: '/nowhere', property: 'status' }] };
  const gpu = { compatible: 'gpu', status: 'disabled', port: { status: 'okay' } };
  const mmc = { compatible: 'mmc', 'mmc-pwrseq': 'wifi', status: 'okay' };
  assert.equal(fillDeviceTree(tree, hardware), deviceTree({ ...devices, gpu, mmc }));
  const without = fillDeviceTree(tree, { remove: [{ node: '/mmc', property: 'mmc-pwrseq' }] });
  const bare = deviceTree({ ...devices, mmc: { compatible: 'mmc', status: 'okay' } });
  assert.is(without.length, tree.length - 20, 'a token, a length, an offset, five letters');
  assert.is(without.readUInt32BE(36), bare.readUInt32BE(36), 'the structure is as long as without it');
  assert.equal(fillDeviceTree(without, { remove: [{ node: '/mmc', property: 'mmc-pwrseq' }] }), without);
  assert.ok(readDeviceTree(without));
});

test('nodes below others are found by their path', () => {
  const below = (status: string): Parameters<typeof deviceTree>[0] => ({
    soc: { status: 'okay', 'hdmi@1': { status: 'okay', port: { status: 'okay' } }, 'hdmi@2': { status, port: {} } },
    'hdmi@2': { status: 'okay' },
  });
  const filled = fillDeviceTree(deviceTree(below('okay')), { disable: ['/soc/hdmi@2'] });
  assert.equal(filled, deviceTree(below('disabled')));
  const aliases = { ethernet0: '/usb/port/net' };
  const usb = (net: Parameters<typeof deviceTree>[0]): Buffer => deviceTree({ aliases, usb: { port: { net } } });
  assert.equal(fillDeviceTree(usb({ led: {} }), CARD), usb({ [NAME]: ADDRESS, led: {} }));
});

test('a tree without such an alias, or whose alias leads nowhere, stays as it is', () => {
  const astray = deviceTree({ aliases: { ethernet0: '/nowhere' }, net: {} });
  for (const tree of [UPSTREAM, astray, Buffer.from('none')]) assert.is(fillDeviceTree(tree, CARD), tree);
});

test.run();
