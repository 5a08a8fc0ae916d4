// Certificates of private servers: what programs take for trusted, and what to do when one is not.
import { existsSync } from 'node:fs';

/** What update-ca-certificates(8) makes of all that the machine trusts; apt reads it by itself. */
const TRUSTED = '/etc/ssl/certs/ca-certificates.crt';

/** The environment in which programs of Node.js trust what this machine trusts; a setting of the user's counts instead. */
export function trustOfHost(): Record<string, string> {
  const own = process.env['NODE_EXTRA_CA_CERTS'];
  return (own === undefined || own === '') && existsSync(TRUSTED) ? { NODE_EXTRA_CA_CERTS: TRUSTED } : {};
}

/** What to do when the words of apt or npm say that a server's certificate is not trusted; undefined when they do not. */
export function hintForCertificate(words: string): string | undefined {
  return /certificate verification failed|no system certificates|UNABLE_TO_(VERIFY|GET_ISSUER)|SELF_SIGNED_CERT/i.test(
    words,
  )
    ? 'If the server is your own, put the certificate of its CA into /usr/local/share/ca-certificates and run `sudo update-ca-certificates`: apt, artifacts and npm trust it then. ' +
        'One of them alone: Acquire::https::CaInfo of apt.conf(5), which counts for artifacts too, and `cafile` of npm.'
    : undefined;
}
