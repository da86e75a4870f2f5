import { breathe, mayBreathe, sortWithBreaths } from "../lib/breathe.ts";
import { DropsError } from "../lib/errors.ts";
import { type EntryType, isSafePath, type ManifestEntry } from "../snapshot/entry.ts";
import { shownPath } from "../source/files/shown-path.ts";
import type { DataSegment } from "../source/files/tar-sparse.ts";
import { ChunkLedger } from "./chunk-ledger.ts";
import { HoleFinder } from "./hole-finder.ts";
import type { TarHead } from "./tar-writer.ts";

/** An entry that is known to be safe to write, held small. */
export interface PlannedEntry {
  /** Raw bytes, one character a byte (latin1). */
  readonly path: string;
  readonly type: EntryType;
  readonly owner: Owner;
  readonly mtime: bigint;
  readonly size: number;
  readonly target: Buffer | undefined;
  readonly xattrs: ManifestEntry["xattrs"];
  /** Numbers in the ledger, in the file's order. */
  readonly chunks: readonly number[];
  /** Where the chunks lie, when the file has holes. */
  readonly segments: readonly DataSegment[] | undefined;
}

/** The same few come with every entry, so they are held once. */
export type Owner = Pick<ManifestEntry, "mode" | "uid" | "gid" | "user" | "group">;

/** What will be written, in this order; and the packs, each once, in the order in which they are first needed. */
export interface RestorePlan {
  readonly directories: readonly PlannedEntry[];
  readonly files: readonly PlannedEntry[];
  readonly links: readonly PlannedEntry[];
  readonly hardLinks: readonly PlannedEntry[];
  readonly ledger: ChunkLedger;
  readonly packs: readonly number[];
  readonly entries: number;
  /** Logical bytes of all files. */
  readonly bytes: number;
  /** Bytes that will be written: holes left out. */
  readonly dataBytes: number;
}

const NO_CHUNKS: readonly number[] = [];

/**
 * Takes the entries of a manifest in ascending order of path bytes and refuses what could write outside its directory:
 * an entry below something that is not a directory, a path given twice, a hard link to nothing. Decides what is written
 * when: directories, files in the order of their packs, links, hard links. Pure.
 */
export class RestorePlanner {
  readonly #what: string;
  readonly #directories: PlannedEntry[] = [];
  readonly #known = new Set<string>();
  readonly #others = new Map<string, EntryType>();
  readonly #renamed = new Set<string>();
  readonly #files: PlannedEntry[] = [];
  readonly #links: PlannedEntry[] = [];
  readonly #hardLinks: PlannedEntry[] = [];
  readonly #ledger = new ChunkLedger();
  readonly #holes = new HoleFinder();
  readonly #owners = new Map<string, Owner>();
  #last = "";
  #bytes = 0;
  #dataBytes = 0;

  /** `what` is the source in a sentence. */
  constructor(what: string) {
    this.#what = what;
  }

  /**
   * `as` is another path to write it to, which no entry has; hard links to it then name that one. Throws data/damaged
   * naming the entry.
   */
  add(entry: ManifestEntry, as: Buffer = entry.path): void {
    const path = entry.path.toString("latin1");
    this.#checkPlace(path, entry.path);
    const { data, segments } =
      entry.sparse || entry.holes ? this.#holes.split(entry) : { data: entry.chunks, segments: undefined };
    const written = as.toString("latin1");
    if (written !== path) this.#renamed.add(written);
    const planned: PlannedEntry = {
      path: written,
      type: entry.type,
      owner: this.#owner(entry),
      mtime: entry.mtime,
      size: entry.type === "file" ? entry.size : 0,
      target: entry.target,
      xattrs: entry.xattrs,
      chunks: data.length === 0 ? NO_CHUNKS : data.map((chunk) => this.#ledger.need(chunk)),
      segments,
    };
    this.#bytes += planned.size;
    for (const chunk of data) this.#dataBytes += chunk.size;
    if (entry.type === "dir") this.#known.add(path);
    else this.#others.set(path, entry.type);
    this.#shelfOf(entry.type).push(planned);
  }

  /** `packOrder` is the manifest's list: files are written in the order of their first pack in it. */
  async finish(packOrder: readonly number[]): Promise<RestorePlan> {
    await this.#checkHardLinks();
    const rank = new Map(packOrder.map((pack, index) => [pack, index]));
    const rankOf = ({ chunks: [first] }: PlannedEntry) =>
      first === undefined ? -1 : (rank.get(this.#ledger.packOf(first)) ?? packOrder.length);
    const ranks = Float64Array.from(this.#files, rankOf);
    const order = Uint32Array.from(this.#files.keys());
    const byRank = (a: number, b: number) => (ranks[a] as number) - (ranks[b] as number);
    const sorted = await sortWithBreaths(order, byRank); // stable: by path within a pack
    const files = Array.from(sorted, (at) => this.#files[at] as PlannedEntry);
    return {
      directories: this.#directories,
      files,
      links: this.#links,
      hardLinks: this.#hardLinks,
      ledger: this.#ledger,
      packs: await packsInOrder(files, this.#ledger),
      entries: this.#directories.length + this.#others.size,
      bytes: this.#bytes,
      dataBytes: this.#dataBytes,
    };
  }

  async #checkHardLinks(): Promise<void> {
    for (const [at, { path, target }] of this.#hardLinks.entries()) {
      if (mayBreathe(at)) await breathe();
      if (target && this.#renamed.has(target.toString("latin1"))) continue;
      const type = target && this.#others.get(target.toString("latin1"));
      if (type === undefined || type === "hardlink") throw this.#linksToNothing(path, target);
    }
  }

  #linksToNothing(path: string, target: Buffer | undefined): DropsError {
    const where = target ? shownPath(target) : "nothing";
    return this.#damaged(path, `is a hard link to ${where}, which is no file of it`);
  }

  #checkPlace(path: string, raw: Buffer): void {
    if (!isSafePath(raw)) throw this.#damaged(path, "leaves its directory");
    if (path <= this.#last) throw this.#damaged(path, "is given twice or out of order");
    this.#last = path;
    for (let end = path.lastIndexOf("/"); end > 0; end = path.lastIndexOf("/", end - 1)) {
      const above = path.slice(0, end);
      if (this.#known.has(above)) return; // whatever is above that was checked when it came
      const type = this.#others.get(above);
      if (type !== undefined)
        throw this.#damaged(path, `lies below ${shownPath(above)}, which is a ${type} there`);
    }
  }

  #shelfOf(type: EntryType): PlannedEntry[] {
    if (type === "dir") return this.#directories;
    if (type === "file") return this.#files;
    return type === "hardlink" ? this.#hardLinks : this.#links;
  }

  #owner({ mode, uid, gid, user, group }: ManifestEntry): Owner {
    const key = JSON.stringify([mode, uid, gid, user, group]);
    const known = this.#owners.get(key) ?? { mode, uid, gid, user, group };
    this.#owners.set(key, known);
    return known;
  }

  #damaged(path: string, why: string): DropsError {
    return new DropsError(
      "data/damaged",
      `the manifest of ${this.#what} is invalid: ${shownPath(path)} ${why}`,
    );
  }
}

/** What the tar's header says of a planned entry. */
export function tarHeadOf(entry: PlannedEntry): TarHead {
  const { type, owner, mtime, size, target, xattrs } = entry;
  return { ...owner, path: Buffer.from(entry.path, "latin1"), type, mtime, size, target, xattrs };
}

async function packsInOrder(files: readonly PlannedEntry[], ledger: ChunkLedger): Promise<number[]> {
  const packs = new Set<number>();
  for (const [at, { chunks }] of files.entries()) {
    for (const chunk of chunks) packs.add(ledger.packOf(chunk));
    if (mayBreathe(at)) await breathe();
  }
  return [...packs];
}
