// What the build command asks of the engine, and what it gets back.
import type { Compression } from '../image/compress.ts';
import type { ImageManifest } from '../image/manifest.ts';
import type { BaseOptions } from './base-choice.ts';
import type { Stage } from '../ui/steps.ts';

export interface BuildOptions extends BaseOptions {
  /** Name of a role, or path of a role file. */
  role: string;
  /** Path of the image; `out/ROLE.img` by default. */
  out?: string;
  compress: 'none' | Compression;
  /** Bytes of the whole image; content plus a margin by default. */
  size?: number;
  /** Nothing is downloaded: what is missing in the store is an error. */
  offline: boolean;
  /** The lock must be there and must fit the role. */
  locked: boolean;
  /** Off with --no-cache: every layer is made anew. */
  cache: boolean;
  /** How much may run at the same time; at least 1. */
  jobs: number;
  /** URL of the Debian archive to use. */
  mirror?: string;
  /** Opens a shell in the sandbox of a step that failed. */
  shellOnError: boolean;
}

export interface BuildResult {
  imagePath: string;
  manifestPath: string;
  manifest: ImageManifest;
  /** The image was already there and nothing had changed. */
  reused: boolean;
  stages: Stage[];
}
