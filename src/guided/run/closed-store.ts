import { DropsError } from "../../lib/errors.ts";
import type { BlobReader } from "../../store/blob-store.ts";

/** For what reads nothing: whoever reads all the same is told so. */
export function closedStore(): BlobReader {
  const refuse = (key: string): never => {
    throw new DropsError("store/unavailable", `${key} is not read here: no store was opened`);
  };
  return {
    label: "no store",
    get: async (key) => refuse(key),
    // biome-ignore lint/correctness/useYield: it lists nothing
    list: async function* (prefix) {
      refuse(prefix);
    },
    now: async () => refuse("the clock"),
  };
}
