import type { ManifestEntry } from "../snapshot/entry.ts";

/** Two ascending streams of entries as one; where both have a path, the first one's entry wins. */
export async function* mergeEntries(
  first: AsyncGenerator<ManifestEntry>,
  second: AsyncGenerator<ManifestEntry>,
): AsyncGenerator<ManifestEntry> {
  let waiting = await second.next();
  for await (const entry of first) {
    while (!waiting.done && Buffer.compare(waiting.value.path, entry.path) < 0) {
      yield waiting.value;
      waiting = await second.next();
    }
    if (!waiting.done && waiting.value.path.equals(entry.path)) waiting = await second.next();
    yield entry;
  }
  if (!waiting.done) yield waiting.value;
  yield* second;
}
