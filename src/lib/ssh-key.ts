// Public ssh keys, each the line of a .pub file: whether one is whole, and what people know it by.
import { createHash } from 'node:crypto';

/** The types that OpenSSH makes today, the key in base64, a comment. */
export const KEY_LINE =
  /^(ssh-(ed25519|rsa)|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com) [A-Za-z0-9+/=]+( [^\p{Cc}]*)?$/u;

/** RFC 4253, section 6.6: base64 of strings, each with its length before it, of which the first is the type. */
export function isWholeKey(line: string): boolean {
  const [type = '', body = ''] = line.split(' ');
  const bytes = Buffer.from(body, 'base64');
  if (bytes.toString('base64').replace(/=+$/, '') !== body.replace(/=+$/, '')) return false;
  const fields: Buffer[] = [];
  let at = 0;
  while (at + 4 <= bytes.length) {
    const end = at + 4 + bytes.readUInt32BE(at);
    fields.push(bytes.subarray(at + 4, end));
    at = end;
  }
  return at === bytes.length && fields.length > 1 && fields[0]?.toString() === type;
}

/** Type and comment: all of a key that a person reads. */
export function keyParts(line: string): { type: string; comment: string } {
  const [type = '', , ...comment] = line.trim().split(/\s+/);
  return { type, comment: comment.join(' ') };
}

/** The key without a comment that shells and old parsers would read as something else: `DOMAIN\\name` has a line break for dash's echo. */
export function plainKey(line: string): string {
  const [type = '', body = '', ...comment] = line.split(' ');
  return /^[\w@. +:/-]*$/.test(comment.join(' ')) ? line : `${type} ${body}`;
}

/** As `ssh-keygen -l` prints it and ssh asks about it: `SHA256:…`. */
export function fingerprint(line: string): string {
  const body = Buffer.from(line.trim().split(/\s+/)[1] ?? '', 'base64');
  return `SHA256:${createHash('sha256').update(body).digest('base64').replace(/=+$/, '')}`;
}
