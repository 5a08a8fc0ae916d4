// Keyrings as apt takes them from one file: bytes, not text.

/**
 * OpenPGP keys in their binary form: what is ASCII armor (RFC 9580, 6) is decoded, several blocks put together; anything else is what it is.
 * Binary keyrings may be put one after the other.
 */
export function binaryKeys(file: Buffer): Buffer {
  const text = file.toString('latin1');
  const blocks = [
    ...text.matchAll(/-----BEGIN PGP PUBLIC KEY BLOCK-----\r?\n([^]*?)-----END PGP PUBLIC KEY BLOCK-----/g),
  ];
  if (blocks.length === 0) return file;
  return Buffer.concat(blocks.map(([, body = '']) => Buffer.from(radix64(body), 'base64')));
}

/** The lines after the headers, which an empty line ends, without the checksum. */
function radix64(body: string): string {
  const lines = body.split(/\r?\n/);
  const start = lines.findIndex((line) => line.trim() === '') + 1;
  return lines
    .slice(start)
    .filter((line) => !line.startsWith('='))
    .join('');
}
