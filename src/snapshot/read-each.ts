import type { Cancel } from "../lib/cancel.ts";
import { type DropsError, isFailure } from "../lib/errors.ts";
import { SMALL_READS_AT_ONCE } from "../lib/limits.ts";
import { mapLimit } from "../lib/map-limit.ts";

export interface UnreadableDocument {
  readonly key: string;
  readonly why: DropsError;
}

/**
 * Read small documents of a store, many at once, in the order that they are given. One that is gone since it was listed is left out; one that is
 * damaged or not believed is in `unreadable`, with its key. Throws every other failure.
 */
export async function readEach<Listed extends { readonly key: string }, Found>(
  listed: Iterable<Listed>,
  read: (one: Listed, signal: AbortSignal) => Promise<Found>,
  how: Cancel,
): Promise<{ readonly read: Found[]; readonly unreadable: UnreadableDocument[] }> {
  const found = { read: [] as Found[], unreadable: [] as UnreadableDocument[] };
  const attempt = async (one: Listed, signal: AbortSignal): Promise<() => void> => {
    try {
      const document = await read(one, signal);
      return () => found.read.push(document);
    } catch (error) {
      if (isFailure(error, "store/missing")) return () => {};
      if (!isFailure(error, "data/damaged", "signature/untrusted")) throw error;
      return () => found.unreadable.push({ key: one.key, why: error });
    }
  };
  for await (const keep of mapLimit(listed, SMALL_READS_AT_ONCE, attempt, how.signal)) keep();
  return found;
}
