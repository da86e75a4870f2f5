import type { Cancel } from "../lib/cancel.ts";
import { type DropsError, isFailure } from "../lib/errors.ts";
import { mapLimit } from "../lib/map-limit.ts";
import { fetchPack, newPackSlot } from "../pack/fetch-pack.ts";
import type { PackInfo } from "../pack/pack-table.ts";
import type { PackPool } from "../pack/pool.ts";
import type { BlobReader } from "../store/blob-store.ts";
import { packKey } from "../store/keys.ts";

const AT_ONCE = 3;

export interface PackParts {
  readonly store: BlobReader;
  readonly policyName: string;
  readonly identities: readonly string[];
  readonly pool: PackPool;
  /** A pack was read; its stored size. */
  readonly onPack?: (bytes: number) => void;
}

/** What a pack turned out to hold. */
export interface AssessedPack {
  readonly info: PackInfo;
  /** Undefined when it could be opened and every chunk in it has the name of its content. */
  readonly problem: string | undefined;
  /** Its chunks, by id with their size; none when it could not be opened. */
  readonly chunks: ReadonlyMap<string, number>;
}

/** Reads packs whole, a few at a time, in the order given. Throws what is no damage: key/wrong, a store out of reach. */
export async function* assessPacks(
  packs: Iterable<PackInfo>,
  parts: PackParts,
  how: Cancel,
): AsyncGenerator<AssessedPack> {
  const slots: SharedArrayBuffer[] = [];
  const read = async (info: PackInfo, signal: AbortSignal): Promise<AssessedPack> => {
    const slot = slots.pop() ?? newPackSlot();
    try {
      return await assess(info, slot, parts, { signal });
    } finally {
      slots.push(slot);
    }
  };
  for await (const pack of mapLimit(packs, AT_ONCE, read, how.signal)) {
    parts.onPack?.(pack.info.size);
    yield pack;
  }
}

async function assess(
  info: PackInfo,
  slot: SharedArrayBuffer,
  { store, policyName, identities, pool }: PackParts,
  how: Cancel,
): Promise<AssessedPack> {
  try {
    await fetchPack(store, packKey(policyName, info.sha256), info, slot, how);
    const { chunks } = await pool.open({ kind: "open", slot, ...info, identities }, how);
    return { info, problem: undefined, chunks: new Map(chunks.map(({ id, size }) => [id, size])) };
  } catch (error) {
    if (!isFailure(error, "store/missing", "data/damaged")) throw error;
    return { info, problem: problemOf(error, info), chunks: new Map() };
  }
}

/** As the end of a sentence that begins with the pack. */
function problemOf({ code, message }: DropsError, { sha256 }: PackInfo): string {
  if (code === "store/missing") return "is not in the store";
  return message.startsWith(`pack ${sha256} `) ? message.slice(sha256.length + 6) : message;
}
