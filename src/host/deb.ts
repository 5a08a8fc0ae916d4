// Reads what a .deb file says of itself.
import { PiimgError } from '../lib/errors.ts';
import { run } from './exec.ts';

/** Name, version and Debian architecture of the package in `file` (deb-control(5)). Throws PiimgError when it is no .deb. */
export async function readDeb(file: string): Promise<{ name: string; version: string; architecture: string }> {
  const format = '--showformat=${Package} ${Version} ${Architecture}';
  const { stdout } = await run(['dpkg-deb', '--show', format, file]).catch((error: unknown) => {
    const detail = error instanceof PiimgError ? error.detail : undefined;
    throw new PiimgError(`${file} is not a Debian package`, { ...(detail !== undefined && { detail }), cause: error });
  });
  const [name = '', version = '', architecture = ''] = stdout.trim().split(' ');
  return { name, version, architecture };
}
