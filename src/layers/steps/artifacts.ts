// Puts downloaded artifacts at their places.
import { stat } from 'node:fs/promises';
import type { Artifact } from '../../role/resolved.ts';
import { verifyInputs } from '../inputs.ts';
import type { StepContext } from './context.ts';
import { placeFiles } from './files.ts';

/** Each artifact, taken from the store by its digest. */
export async function placeArtifacts(spec: { artifacts: Artifact[] }, context: StepContext): Promise<string[]> {
  const named = spec.artifacts.map(({ url, sha256 }) => ({ name: `The stored artifact ${url}`, sha256 }));
  await verifyInputs(named, context.file);
  const files = await Promise.all(
    spec.artifacts.map(async ({ sha256, destination, mode, owner, group }) => ({
      path: destination.replace(/^\/+/, ''),
      type: 'file' as const,
      mode,
      owner,
      group,
      source: { sha256, size: (await stat(context.file(sha256))).size },
    })),
  );
  return placeFiles(files, context);
}
