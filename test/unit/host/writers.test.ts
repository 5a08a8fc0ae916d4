// Who writes to a disk, on macOS: what lsof prints there.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { writersIn } from '../../../src/host/writers.ts';

// Fields as lsof(8) describes them in “Output for other programs”: process, command, then file and access of each file.
const PRINTED = `p101
cdd
f3
ar
f4
aw
p102
cpiimg flash
f17
au
p103
cmdworker
f9
ar
`;

test('those that have it open for writing, by name; not those that read, nor oneself', () => {
  assert.equal(writersIn(PRINTED, 1), ['dd (process 101)', 'piimg flash (process 102)']);
  assert.equal(writersIn(PRINTED, 102), ['dd (process 101)']);
  assert.equal(writersIn('', 1), []);
});

test.run();
