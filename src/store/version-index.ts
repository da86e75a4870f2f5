import { hash } from "node:crypto";
import type { Cancel } from "../lib/cancel.ts";
import type { BlobInfo, BlobReader, BlobVersion, VersionReader } from "./blob-store.ts";
import { missing } from "./check-bytes.ts";
import { isHash } from "./keys.ts";

/** What a store keeps of each name, markers told apart. */
export class VersionIndex {
  /** Those that landed first come first; without markers, never empty. */
  readonly #blobs = new Map<string, BlobVersion[]>();
  readonly #markers = new Map<string, BlobVersion[]>();

  static async read(store: VersionReader, prefixes: readonly string[], how: Cancel): Promise<VersionIndex> {
    const index = new VersionIndex();
    for (const prefix of prefixes) {
      for await (const version of store.listVersions(prefix, how)) {
        const all = version.isMarker ? index.#markers : index.#blobs;
        all.set(version.key, [version, ...(all.get(version.key) ?? [])]);
      }
    }
    return index;
  }

  /** Those that landed first come first; without markers. */
  of(key: string): readonly BlobVersion[] {
    return this.#blobs.get(key) ?? [];
  }

  /** The marker that makes the name look free. */
  hidingMarker(key: string): BlobVersion | undefined {
    return this.#markers.get(key)?.find(({ isLatest }) => isLatest);
  }

  hasMarkers(key: string): boolean {
    return this.#markers.has(key);
  }

  /** In key order. */
  keys(prefix: string): string[] {
    return [...this.#blobs.keys()].filter((key) => key.startsWith(prefix)).sort();
  }
}

/**
 * A store as it is below everything that was put over it or removed from it: of each name the version that landed first, and
 * of a name that is a hash the first one with these bytes. drops puts every name once, so what came later was somebody else's.
 *
 * @param isShown whether a name is there at all
 */
export function firstVersions(
  store: BlobReader & VersionReader,
  index: VersionIndex,
  isShown: (key: string) => boolean = () => true,
): BlobReader {
  return {
    label: store.label,
    now: (how) => store.now(how),
    async *list(prefix, { signal }): AsyncGenerator<BlobInfo> {
      for (const key of index.keys(prefix).filter(isShown)) {
        signal.throwIfAborted();
        const [first] = index.of(key);
        if (first) yield first;
      }
    },
    async get(key, how) {
      const versions = isShown(key) ? index.of(key) : [];
      let last: Uint8Array | undefined;
      for (const { version } of versions) {
        last = await store.getVersion(key, version, how);
        if (mayBe(key, last)) return last;
      }
      if (last) return last; // whoever asked says what is wrong with it
      throw missing(store.label, key);
    },
  };
}

/** The same of a whole repository, whose versions are listed when something is first asked for. */
export function belowWhatHides(store: BlobReader & VersionReader): BlobReader {
  let opened: Promise<BlobReader> | undefined;
  const open = (how: Cancel): Promise<BlobReader> => {
    opened ??= VersionIndex.read(store, [""], how).then((index) => firstVersions(store, index));
    return opened;
  };
  return {
    label: store.label,
    now: (how) => store.now(how),
    get: async (key, how) => (await open(how)).get(key, how),
    async *list(prefix, how) {
      yield* (await open(how)).list(prefix, how);
    },
  };
}

function mayBe(key: string, bytes: Uint8Array): boolean {
  const name = key.slice(key.lastIndexOf("/") + 1);
  return !isHash(name) || hash("sha256", bytes, "hex") === name;
}
