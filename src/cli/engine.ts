// The engine behind the commands that are not build.
import { PiimgError } from '../lib/errors.ts';
import type { Context } from './context.ts';
import type * as types from './engine-types.ts';

const missing = () => Promise.reject(new PiimgError('This part of the engine is not there yet'));

/** What a build of the role would do. */
export const planRole: (options: types.PlanOptions, context: Context) => Promise<types.PlanResult> = missing;

/** Resolves packages anew and writes the lock. */
export const updateLock: (options: types.UpdateOptions, context: Context) => Promise<types.UpdateResult> = missing;

/** Compares two images, manifests or plans, given by path. */
export const diffImages: (a: string, b: string, context: Context) => Promise<types.DiffResult> = missing;

/** Runs a command in the built system of a role; resolves to its exit status. */
export const openShell: (options: types.ShellOptions, context: Context) => Promise<number> = missing;

/** Everything in the cache, biggest first. */
export const listCache: (context: Context) => Promise<types.CacheEntry[]> = missing;

/** Removes what was not used for `days` days. */
export const pruneCache: (days: number, context: Context) => Promise<types.PruneResult> = missing;

/** Compares every digest in the cache. */
export const verifyCache: (context: Context) => Promise<types.VerifyResult> = missing;
