// `piimg diff A B`: compares packages and files of two images or plans. Like diff(1) it exits with 1 when they differ.
import { EXIT } from '../../lib/errors.ts';
import { styleFor } from '../../ui/style.ts';
import { createContext } from '../context.ts';
import { formatFileChanges, formatPackageChanges } from './changes.ts';
import { print, printJson, tell } from './output.ts';

/** Said beside the result: where it comes from. */
const READ = {
  images: 'compared: the file systems of both images',
  layers: 'compared: the layers in the cache, as an image was not there or is compressed',
};

export async function diff(a: string, b: string, flags: { json?: boolean }, signal: AbortSignal): Promise<void> {
  const { diffImages } = await import('../diffing.ts');
  const result = await diffImages(a, b, createContext(signal));
  const style = styleFor(process.stdout);
  const sections = [
    { title: 'packages', text: formatPackageChanges(result.packages, style) },
    { title: 'files', text: result.files === undefined ? '' : formatFileChanges(result.files, style) },
  ].filter(({ text }) => text !== '');
  if (sections.length > 0) process.exitCode = EXIT.failed;
  if (flags.json) return printJson(result);
  print(sections.map(({ title, text }) => `${style.bold(title)}\n${text}`).join('\n\n') || 'No difference.');
  if (result.files) tell(style.dim(READ[result.files.from]));
}
