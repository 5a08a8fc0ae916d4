import { withCard } from './helpers/rig/card.ts';
import { piimg, agreed } from './helpers/flashing.ts';
import { temporaryFolder } from './helpers/temporary.ts';
const M = 1 << 20;
for (const [options, more] of [[{}, ['--full']], [{ real: 16 * M + 512, beyond: 'wrap' }, []], [{ flips: [20 * M + 1, 30*M] }, ['--full']], [{after: {written: 5*M, turns: {pulled: true}}}, []], [{real: 30*M, beyond:'EIO'}, ['--full']]] as any) {
  await withCard({ size: 64 * M, ...options }, async (card) => {
    const t = performance.now();
    const { stdout, stderr, code } = await piimg(temporaryFolder(), 'probe', card.path, ...agreed([card]), ...more);
    console.log(JSON.stringify(options), code, ((performance.now() - t) / 1000).toFixed(1)); console.log(stderr); console.log(stdout);
  });
}
