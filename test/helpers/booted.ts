// What every booted image of role web must show on its console and its port.
import * as assert from 'uvu/assert';
import type { TestGuest } from './qemu.ts';

/** Waits until cloud-init is done and GET /health answers; then reads the console for what went wrong on the way. */
export async function assertBooted(guest: TestGuest): Promise<void> {
  const finished = await guest.said(/Cloud-init v\. \S+ finished at .*Datasource (\S+)/);
  assert.is(finished[1], 'DataSourceNoCloud');
  const answer = await guest.until('GET /health', async () => {
    const response = await fetch(`http://127.0.0.1:${guest.ports[3000]}/health`, {
      signal: AbortSignal.timeout(20_000),
    });
    return { status: response.status, text: await response.text() };
  });
  assert.equal(answer, { status: 200, text: 'ok\n' });
  const console = await guest.console();
  // What systemd has reached it shows only until a getty has the console, which on a slow machine is before multi-user.target.
  assert.match(console, /^Welcome to Debian GNU\/Linux/m);
  assert.equal(console.match(/^.*(\[(FAILED|DEPEND)\]|Kernel panic|Unable to|fsck not present).*$/gm), null);
  assert.match(console, /EXT4-fs \(\w+\): resized filesystem to \d+/);
}
