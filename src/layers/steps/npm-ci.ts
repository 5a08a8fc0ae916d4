// Runs the host's npm on an application: with the host's settings, from piimg's own cache when offline.
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hintForCertificate, trustOfHost } from '../../host/certificates.ts';
import { dieWithParent, run } from '../../host/exec.ts';
import { PiimgError } from '../../lib/errors.ts';
import { touch } from '../../lib/touch.ts';
import type { StepContext } from './context.ts';
import { missingIn, packagesFor } from './npm-lock.ts';

/**
 * `npm ci` in `source`, its downloads kept in piimg's own cache; offline it takes them from there. npm leaves out without a word
 * what is optional and cannot be had, an add-on for arm64 for example: here that is an error, as the layer is kept. Throws PiimgError
 * naming what is missing, `destination` (the application's folder in the image), or with npm's last lines.
 */
export async function npmCi(source: string, destination: string, context: StepContext): Promise<void> {
  const { offline, npmCache, signal } = context;
  const wanted = packagesFor(await readFile(join(source, 'package-lock.json'), 'utf8'));
  const missing = offline ? missingIn(npmCache, wanted) : [];
  if (missing.length > 0) {
    throw new PiimgError(
      `Offline, and ${missing.length} of ${wanted.length} npm packages of ${destination} are not in the cache`,
      { detail: missing.map(({ label }) => label).join('\n'), hint: 'Build once without --offline.' },
    );
  }
  context.step.update({ message: 'npm ci' });
  const forImage = [
    '--omit=dev',
    '--include=optional',
    '--ignore-scripts',
    '--os=linux',
    '--cpu=arm64',
    '--libc=glibc',
  ];
  // The level is named because a silent one of the user's, or of the `npm --silent` that runs us, would hide why npm failed.
  const quiet = ['--no-audit', '--no-fund', '--logs-max=0', '--loglevel=error'];
  const options = [...forImage, ...quiet, '--cache', npmCache, ...(offline ? ['--offline'] : [])];
  try {
    await run(dieWithParent(['npm', 'ci', ...options]), {
      cwd: source,
      env: { ...trustOfHost(), npm_config_update_notifier: 'false' },
      ...(signal && { signal }),
    });
  } catch (error) {
    const hint = error instanceof PiimgError ? hintForCertificate(error.detail ?? '') : undefined;
    if (!(error instanceof PiimgError) || hint === undefined) throw error;
    throw new PiimgError(`${destination}: npm does not trust the registry's certificate`, {
      ...(error.detail !== undefined && { detail: error.detail }),
      hint,
      cause: error,
    });
  }
  await touch(npmCache);
  const leftOut = wanted.filter(({ path, optional }) => optional && !existsSync(join(source, path)));
  if (leftOut.length === 0) return;
  throw new PiimgError(`${destination}: npm left out optional packages that are for this image`, {
    detail: leftOut.map(({ label }) => label).join('\n'),
    hint: 'The registry does not give them, or their `engines` exclude the Node.js or npm of this machine.',
  });
}
