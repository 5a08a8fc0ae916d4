// Two pieces of work at the same time.

/** Like Promise.all, but a failure waits for the other, so that nothing still works on a file that is removed. */
export async function settled<A, B>(work: [Promise<A>, Promise<B>]): Promise<[A, B]> {
  await Promise.allSettled(work);
  return Promise.all(work);
}
