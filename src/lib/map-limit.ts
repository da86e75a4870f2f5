/**
 * At most `limit` jobs at once, results in order. The next item is pulled only when a place is free, so a slow
 * consumer slows the producer down. When anything throws, siblings are aborted and waited for.
 */
export async function* mapLimit<In, Out>(
  items: AsyncIterable<In> | Iterable<In>,
  limit: number,
  work: (item: In, signal: AbortSignal) => Promise<Out>,
  signal: AbortSignal,
): AsyncGenerator<Out> {
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  const running: Promise<Out>[] = [];
  try {
    for await (const item of items) {
      signal.throwIfAborted();
      const job = work(item, either);
      job.catch(() => {}); // reported in its turn, by the yield below
      running.push(job);
      if (running.length === limit) yield* running.splice(0, 1);
    }
    while (running.length > 0) yield* running.splice(0, 1);
  } finally {
    stop.abort();
    await Promise.allSettled(running); // never return while a sibling still works
  }
}
