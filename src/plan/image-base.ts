// What the plan says of a base that is an image: its layer, and how its own boot files come to fit the disk and the role.
import { digestOf } from '../lib/digest.ts';

/** Raised when the same image would be taken apart differently. */
const IMAGE_FORMAT = 1;

/** The key of an image's layer: of the image alone, so that every role and every set of tools shares it. */
export function imageLayerKey(sha256: string): string {
  return digestOf({ image: sha256, format: IMAGE_FORMAT });
}
