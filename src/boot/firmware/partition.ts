// The boot partition as the firmware sees it: files by name. src/cli fills it in from the image's FAT.

export interface BootFile {
  /** Bytes. */
  size: number;
  /** The content from its beginning, anew at every call. */
  chunks(): AsyncIterable<Buffer>;
}

export interface BootPartition {
  /** The file at `path` (`config.txt`, `overlays/vc4.dtbo`), whose case does not count; `undefined` for folders too. */
  find(path: string): Promise<BootFile | undefined>;
}

/** The whole of a small file. */
export async function readBootFile(file: BootFile): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of file.chunks()) chunks.push(chunk);
  return Buffer.concat(chunks);
}
