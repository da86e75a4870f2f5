import type { Cancel } from "../lib/cancel.ts";
import type { ManifestEntry } from "../snapshot/entry.ts";
import { piecesOf } from "../snapshot/holes.ts";
import { addRange, damagedPath, isDamagedPath, missingBytes } from "./damage.ts";
import type { LostChunks } from "./lost-chunks.ts";
import type { OpenSource } from "./open-source.ts";
import { type RestorePlan, RestorePlanner } from "./plan.ts";
import type { ByteRange } from "./report.ts";

/** What is left of a file that is not whole. */
export interface Rest {
  readonly size: number;
  readonly missing: readonly ByteRange[];
  /** Raw path of what is left; undefined when nothing is. */
  readonly as: string | undefined;
  /** A further name of a file, which has no content of its own. */
  readonly isLink: boolean;
}

/** Files that are not whole, and further names of them, by raw path. */
export async function damagedFiles(
  opened: OpenSource,
  search: LostChunks,
  how: Cancel,
): Promise<ReadonlyMap<string, Rest>> {
  const found = new DamagedFiles();
  if (search.lost.size === 0) return found.files;
  const again = async () => (await opened.manifest.entries(how)).entries;
  for await (const { path } of await again()) found.avoid(path.toString("latin1"));
  for await (const entry of await again()) {
    const missing = missingOf(entry, search);
    if (missing.length > 0)
      found.add(entry.path.toString("latin1"), { size: entry.size, missing, isLink: false });
  }
  for await (const { path, type, target } of await again()) {
    const file = type === "hardlink" ? found.files.get(target?.toString("latin1") ?? "") : undefined;
    if (file) found.add(path.toString("latin1"), { ...file, isLink: true });
  }
  return found.files;
}

class DamagedFiles {
  readonly files = new Map<string, Rest>();
  readonly #taken = new Set<string>();

  /** A path of the source that may be one that would be given. */
  avoid(path: string): void {
    if (isDamagedPath(path)) this.#taken.add(path);
  }

  add(path: string, rest: Omit<Rest, "as">): void {
    const isLeft = missingBytes(rest.missing) < rest.size;
    const as = isLeft ? damagedPath(path, this.#taken) : undefined;
    if (as !== undefined) this.#taken.add(as);
    this.files.set(path, { ...rest, as });
  }
}

function missingOf(entry: ManifestEntry, search: LostChunks): ByteRange[] {
  const missing: ByteRange[] = [];
  for (const { at, chunk } of piecesOf(entry))
    if (chunk && search.isLost(chunk.id)) addRange(missing, at, chunk.size);
  return missing;
}

/** The plan of what is left. A chunk that is lost becomes a hole, as if the file had been sparse there. */
export async function planRest(
  name: string,
  opened: OpenSource,
  search: LostChunks,
  files: ReadonlyMap<string, Rest>,
  how: Cancel,
): Promise<RestorePlan> {
  const planner = new RestorePlanner(name);
  for await (const entry of (await opened.manifest.entries(how)).entries) {
    const rest = files.get(entry.path.toString("latin1"));
    if (rest === undefined) planner.add(search.contentOf(entry));
    else if (rest.as !== undefined) planner.add(restOf(entry, search, files), latin1(rest.as));
  }
  return planner.finish(opened.manifest.numbers);
}

function restOf(entry: ManifestEntry, search: LostChunks, files: ReadonlyMap<string, Rest>): ManifestEntry {
  if (entry.type !== "hardlink") return search.contentOf(entry);
  const target = files.get(entry.target?.toString("latin1") ?? "")?.as;
  return { ...entry, target: target === undefined ? entry.target : latin1(target) };
}

function latin1(raw: string): Buffer {
  return Buffer.from(raw, "latin1");
}
