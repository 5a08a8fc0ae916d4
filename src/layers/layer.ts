// What a layer is on disk: a directory `layers/<key>/` of the cache with
//   tree/        the files as overlayfs's upperdir left them, used as lowerdir of what is built on top
//   layer.tar    the same as a canonical tar: entries in order, times clamped, whiteouts as index entries only
//   layer.json   this index
// The tar is what images are made from and what digests are about; the tree is working space.

/** One entry of a layer, in the order of the tar. */
export interface LayerEntry {
  /** Path without leading or trailing slash; the root itself is `''`. */
  path: string;
  type: 'file' | 'directory' | 'symlink' | 'hardlink' | 'character' | 'block' | 'fifo' | 'whiteout';
  /** Permission bits with setuid, setgid and sticky. */
  mode: number;
  uid: number;
  gid: number;
  size: number;
  /** Of the content, for files. */
  sha256?: string;
  /** Target, for symlinks and hardlinks (a hardlink's is a path in the same layer). */
  target?: string;
  /** Device numbers, of devices. Only the layer of an image has any; its tree has none, as no user namespace may make them. */
  device?: [number, number];
  /** A directory that hides what lower layers have in it. */
  opaque?: boolean;
  /** Extended attributes, values base64 (only `security.capability` and `user.*` occur, but for an image's). */
  xattrs?: Record<string, string>;
  /** Seconds and nanoseconds, of a time that is no whole second since 1970: mke2fs takes no other from a tar. */
  time?: [number, number];
  /** Byte range of headers and padded data in layer.tar; absent for whiteouts. */
  offset?: number;
  length?: number;
}

export interface LayerIndex {
  /** What the layer was made from: the digest of its recipe and of its parents' keys. */
  key: string;
  title: string;
  /** sha256 of layer.tar. */
  digest: string;
  /** Bytes of layer.tar. */
  size: number;
  entries: LayerEntry[];
  /** Worth telling: packages that had to be configured emulated, foreign ELF files. */
  notes: string[];
}

/** A finished layer in the cache. */
export interface Layer {
  dir: string;
  index: LayerIndex;
}
