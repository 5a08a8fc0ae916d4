// What every kind of check is: a name, what it expects, and a look at the machine.
import type { HealthCheck } from '../../role/schema/health.ts';
import type { Attempt, Look } from '../retry.ts';
import type { Session } from '../session.ts';
import type { Outside } from './outside/endpoint.ts';

/** A booted machine as the checks see it. */
export interface Target {
  /** Port on 127.0.0.1 by the machine's port. */
  ports: Record<number, number>;
  session: Session;
  /** Another computer on the machine's second network; absent where it has no second network card. */
  outside?: Outside;
}

export type HealthCheckOf<Name extends HealthCheck['check']> = Extract<HealthCheck, { check: Name }>;

export interface Kind<Check> {
  /** What is shown for a check without a name of its own. */
  name(check: Check): string;
  /** What it is to show, in words. */
  expected(check: Check): string;
  look(target: Target, check: Check, attempt: Attempt): Promise<Look>;
}

/** The host's port for one of the machine's. Throws when it was not forwarded. */
export function hostPort({ ports }: Target, port: number): number {
  const found = ports[port];
  if (found === undefined) throw new Error(`port ${port} of the machine was not forwarded`);
  return found;
}

/** Seconds after which a machine that accepts a connection and says nothing is asked anew. */
const ANSWER = 20;

/** An attempt's signal, and sooner for what asks over the network: a connection made too early is never answered. */
export function answerIn({ signal }: Attempt): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(ANSWER * 1000)]);
}

/** Characters of an answer that a report quotes. */
const QUOTED = 120;

/** The beginning of a text on one line, in quotes. */
export function excerpt(text: string): string {
  const line = text.trim().replace(/\s+/g, ' ');
  return line.length > QUOTED ? `“${line.slice(0, QUOTED)}…”` : `“${line}”`;
}
