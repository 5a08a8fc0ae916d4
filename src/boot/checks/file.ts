// Does a file exist, with a content?
import { quote } from '../../lib/quote.ts';
import { excerpt, type HealthCheckOf, type Kind } from './kind.ts';

/** Bytes of a file that are looked through. */
const ENOUGH = 4 * 2 ** 20;

export const fileCheck: Kind<HealthCheckOf<'file'>> = {
  name: ({ path }) => `file ${path}`,
  expected: ({ contains }) => (contains === undefined ? 'there' : `with ${excerpt(contains)}`),

  async look({ session }, { path, contains }, attempt) {
    const file = quote([path]);
    const { status, stdout: size } = await session.ask(
      `if [ -d ${file} ]; then exit 2; fi; stat --dereference --format=%s -- ${file}`,
      attempt,
    );
    if (status === 2) return { ok: false, seen: 'a folder' };
    if (status !== 0) return { ok: false, seen: 'not there' };
    const there = `${size.trim()} bytes`;
    if (contains === undefined) return { ok: true, seen: there };
    const { stdout } = await session.ask(`head --bytes=${ENOUGH} -- ${file}`, attempt);
    if (stdout.includes(contains)) return { ok: true, seen: there };
    const part = Number(size) > ENOUGH ? `, of which the first ${ENOUGH} were read` : '';
    return { ok: false, seen: `${there}${part}, ${excerpt(stdout)}` };
  },
};
