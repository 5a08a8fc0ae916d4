// The drawing that a machine makes of its boot.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { withFewerLabels } from '../../../../src/boot/checks/times.ts';

test('every fifth second of the drawing keeps its label, every second its line', () => {
  const line = (name: string, x: number): string =>
    `  <line class="${name}" x1="${x}.000" y1="0" x2="${x}.000" y2="90.000" />\n`;
  const label = (second: number): string =>
    `  <text class="sec" x="${second * 10}.000" y="-5.000" >${second}.0s</text>\n`;
  const bar = '<text class="left" x="10" y="14.000">cloud-init.service (1.0s)</text>\n';
  const drawn = `${line('sec5', 0)}${label(0)}${line('sec01', 1)}${line('sec1', 10)}${label(1)}${line('sec5', 50)}${label(5)}${bar}</svg>\n`;
  assert.is(
    withFewerLabels(drawn),
    `${line('sec5', 0)}${label(0)}${line('sec1', 10)}${line('sec5', 50)}${label(5)}${bar}</svg>\n`,
  );
});

test.run();
