// Memory that direct I/O takes, and that threads share.

/** WebAssembly's page (core specification, 4.2.8 Memory Instances). */
const PAGE = 65_536;

/** Of the lib that TypeScript has for browsers only. */
declare const WebAssembly: {
  Memory: new (settings: { initial: number; maximum: number; shared: true }) => { buffer: SharedArrayBuffer };
};

/** At least `bytes` of memory that begins on a page: Node's own buffers need not, and direct I/O fails with EINVAL on those. */
export function sharedMemory(bytes: number): Uint8Array<SharedArrayBuffer> {
  const pages = Math.ceil(bytes / PAGE);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  return new Uint8Array(memory.buffer);
}
