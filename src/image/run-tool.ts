// How the stage asks for a program: it names tool and arguments; who runs it, and where it comes from, is not its matter.
import type { Readable } from 'node:stream';

/**
 * Runs one tool of the image tools (e2fsprogs with libarchive, dosfstools, mtools, tar, sh, compressors) and returns
 * its standard output; rejects with a PiimgError when it fails. `input` is its standard input; an error of that stream
 * is the rejection. `writable` are absolute paths that exist and that the tool sees under the same names.
 * Where `script` is given, it is run by `sh -eu` with `tool` as `$0 $1 …`.
 */
export type RunTool = (
  tool: string[],
  io: { input?: Readable | AsyncIterable<Buffer>; script?: string; writable: string[] },
) => Promise<string>;
