// Lines of .pub files that look like keys and are whole, with private halves that nobody has.

/** RFC 4253, section 6.6, with 32 bytes of a letter as the key. */
export function keyLine(comment = 'me@laptop', type = 'ssh-ed25519', letter = 'k'): string {
  const fields = [Buffer.from(type), Buffer.alloc(32, letter)];
  const body = fields.flatMap((field) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(field.length);
    return [length, field];
  });
  return `${type} ${Buffer.concat(body).toString('base64')} ${comment}`.trimEnd();
}
