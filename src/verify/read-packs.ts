import { hash } from "node:crypto";
import { ChunkIndex } from "../chunk/chunk-index.ts";
import type { Cancel } from "../lib/cancel.ts";
import { type DropsError, isFailure } from "../lib/errors.ts";
import { mapLimit } from "../lib/map-limit.ts";
import { fetchPack, newPackSlot } from "../pack/fetch-pack.ts";
import type { PackPool } from "../pack/pool.ts";
import type { BlobReader } from "../store/blob-store.ts";
import type { DamageBook } from "./damage-book.ts";
import { hurtBy, type NeededObject } from "./needed-objects.ts";

const AT_ONCE = 3;

/** The chunks of the packs that were opened. */
export class OpenedChunks {
  readonly #sizes = new ChunkIndex();
  readonly #packs = new Map<string, number>();

  addPack(sha256: string, chunks: Iterable<{ readonly id: string; readonly size: number }>): void {
    const number = this.#packs.size;
    this.#packs.set(sha256, number);
    for (const { id, size } of chunks) this.#sizes.set(place(id, number), size);
  }

  /** Whether a pack holds this chunk with this size; undefined when the pack was not opened. */
  holds(pack: string, id: string, size: number): boolean | undefined {
    const number = this.#packs.get(pack);
    return number === undefined ? undefined : this.#sizes.get(place(id, number)) === size;
  }

  get isEmpty(): boolean {
    return this.#packs.size === 0;
  }
}

export interface ReadPacks {
  readonly packsRead: number;
  readonly bytesRead: number;
  /** Every pack that is whole was opened too. */
  readonly opened: boolean;
  readonly chunks: OpenedChunks;
  /** SHA-256 of those that are not what their names say. */
  readonly bad: ReadonlySet<string>;
  readonly notes: readonly string[];
}

/**
 * Read packs whole. With an identity that opens them every chunk is compared with its name, else the stored bytes with
 * the pack's. What does not agree goes into `damage`.
 */
export async function readPacks(
  packs: readonly NeededObject[],
  parts: {
    readonly store: BlobReader;
    readonly identities: readonly string[];
    readonly pool: PackPool;
    /** What an identity opens is read by programs of others, too. */
    readonly independent?: boolean;
  },
  damage: DamageBook,
  how: Cancel & { readonly onPack: (bytes: number) => void },
): Promise<ReadPacks> {
  const chunks = new OpenedChunks();
  const bad = new Set<string>();
  let [packsRead, bytesRead, locked, unsteady] = [0, 0, 0, 0];
  const slots: SharedArrayBuffer[] = [];
  const read = async (pack: NeededObject, signal: AbortSignal) => {
    const slot = slots.pop() ?? newPackSlot();
    try {
      return await readTwice(pack, slot, parts, chunks, { signal });
    } finally {
      slots.push(slot);
    }
  };
  for await (const { pack, problem, isLocked, isUnsteady } of mapLimit(packs, AT_ONCE, read, how.signal)) {
    packsRead++;
    bytesRead += pack.size;
    if (isLocked) locked++;
    if (isUnsteady) unsteady++;
    if (problem) bad.add(pack.sha256);
    if (problem) damage.add(pack.key, problem, hurtBy(pack.states));
    how.onPack(pack.size);
  }
  const notes = notesOf(parts.identities.length > 0 ? locked : 0, unsteady);
  return { packsRead, bytesRead, opened: packsRead > 0 && locked === 0, chunks, bad, notes };
}

function notesOf(locked: number, unsteady: number): string[] {
  const shut = `${locked} packs could not be opened with these identities: their names were compared`;
  const wrong = `${unsteady} packs were read wrong once and right the second time: check this machine's memory`;
  return [...(locked > 0 ? [shut] : []), ...(unsteady > 0 ? [wrong] : [])];
}

interface OnePack {
  readonly pack: NeededObject;
  readonly problem?: string;
  readonly isLocked: boolean;
  /** Wrong at first. */
  readonly isUnsteady?: boolean;
}

/** A mark is never taken back by itself: one bad read on the way here is no damage yet. */
async function readTwice(...how: Parameters<typeof readOne>): Promise<OnePack> {
  const first = await readOne(...how);
  if (first.problem === undefined) return first;
  const second = await readOne(...how);
  return { ...second, isUnsteady: second.problem === undefined };
}

async function readOne(
  pack: NeededObject,
  slot: SharedArrayBuffer,
  { store, identities, pool, independent = false }: Parameters<typeof readPacks>[1],
  chunks: OpenedChunks,
  how: Cancel,
): Promise<OnePack> {
  try {
    const sealed = await fetchPack(store, pack.key, pack, slot, how);
    if (identities.length === 0) {
      const same = hash("sha256", sealed, "hex") === pack.sha256;
      return {
        pack,
        isLocked: true,
        ...(same ? {} : { problem: "does not match the hash in its name" }),
      };
    }
    const { size, sha256 } = pack;
    const opened = await pool.open({ kind: "open", slot, size, sha256, identities, independent }, how);
    chunks.addPack(pack.sha256, opened.chunks);
    return { pack, isLocked: false };
  } catch (error) {
    if (isFailure(error, "key/wrong")) return { pack, isLocked: true }; // its name was compared first
    if (isFailure(error, "store/missing", "data/damaged"))
      return { pack, problem: problemOf(error), isLocked: false };
    throw error;
  }
}

function problemOf(error: DropsError): string {
  return error.code === "store/missing" ? "vanished while it was to be read" : error.message;
}

/** Chunk and pack in one: the same chunk may lie in several packs. */
function place(id: string, pack: number): Buffer {
  const key = Buffer.from(id, "hex");
  key.writeUInt32LE((key.readUInt32LE(0) ^ pack) >>> 0, 0);
  return key;
}
