// Puts the stages of a build together.
import { PiimgError } from '../lib/errors.ts';
import type { BuildOptions, BuildResult } from './build-options.ts';
import type { Context } from './context.ts';

/** Builds the image of a role. Throws PiimgError. */
export function buildRole(_options: BuildOptions, _context: Context): Promise<BuildResult> {
  return Promise.reject(new PiimgError('The build engine is not there yet'));
}
