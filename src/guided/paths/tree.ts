import type { Cancel } from "../../lib/cancel.ts";
import { DropsError } from "../../lib/errors.ts";
import type { OpenSource } from "../../restore/open-source.ts";
import type { ManifestEntry } from "../../snapshot/entry.ts";
import { shownPath } from "../../source/files/shown-path.ts";
import { below } from "../../source/scope.ts";
import { ownerHere } from "./owners.ts";
import { joined, type PathPart, type PathPiece, type PathRecord } from "./record.ts";
import { type PartScope, scopeOf } from "./scope.ts";
import { databaseDirectory, type SurveyedSource } from "./survey.ts";

/** The name under which a place is brought. */
export const TOP = "new";
/** Directories of drops itself, which older captures hold. */
const OWN = /(^|\/)\.drops-(restore|staging)-/;

/** An entry of a snapshot as it will be on the host: below `TOP`, with the numbers of its owner there. */
export interface PlacedEntry {
  readonly part: PathPart;
  readonly piece: PathPiece;
  readonly entry: ManifestEntry;
  /** A directory of another source above the piece, which writing into it would change. */
  readonly isAbove: boolean;
}

interface Spot {
  readonly part: PathPart;
  readonly piece: PathPiece;
  /** In the part. */
  readonly at: string;
}

/** Where the entries of a group's sources go. Read its sources in the order of the record's pieces, outer ones first. */
export class PathTree {
  readonly #record: PathRecord;
  readonly #sources: readonly OpenSource[];
  /** By source. */
  readonly #pieces: ReadonlyMap<string, readonly { part: PathPart; piece: PathPiece }[]>;
  /** By part and path in it: what is known of the directories above inner pieces. */
  readonly #above = new Map<string, ManifestEntry>();
  /** By source and path: files that hard links in another piece lead to. */
  readonly #targets = new Map<string, ManifestEntry>();
  readonly #scopes: ReadonlyMap<PathPart, PartScope>;

  private constructor(record: PathRecord, surveyed: readonly SurveyedSource[]) {
    const sources = surveyed.map(({ opened }) => opened);
    const policies = surveyed.map(({ policy }) => policy);
    this.#record = record;
    this.#sources = sources;
    this.#pieces = new Map(sources.map((source) => [source.record.name, piecesOf(source, record)]));
    this.#scopes = new Map(record.parts.map((part) => [part, scopeOf(part, policies)]));
  }

  /** Reads the manifests for what lies across pieces. Throws as their reading does. */
  static async open(record: PathRecord, surveyed: readonly SurveyedSource[], how: Cancel): Promise<PathTree> {
    const tree = new PathTree(record, surveyed);
    const wanted = record.parts.flatMap((part) =>
      part.pieces.flatMap(({ at }) => ancestors(at).map((above) => keyOf(part, above))),
    );
    for (const { opened } of surveyed) await tree.#survey(opened, new Set(wanted), how);
    return tree;
  }

  get sources(): readonly OpenSource[] {
    return this.#sources;
  }

  /** What of a part the sources take. */
  scope(part: PathPart): PartScope {
    return this.#scopes.get(part) ?? raise(part);
  }

  /** The entries of one source in ascending order within each piece. */
  async *entries(source: OpenSource, how: Cancel): AsyncGenerator<PlacedEntry> {
    for (const { part, piece } of this.#piecesOf(source)) {
      for (const entry of this.#prelude(source, part, piece))
        yield { part, piece, entry: this.#placed(part, entry), isAbove: true };
      if (piece.from === "") {
        const entry = this.#placed(part, directoryOf(source, joined(TOP, piece.at)));
        yield { part, piece, entry, isAbove: false };
      }
    }
    const placed = new Map<string, Buffer>();
    for await (const entry of (await source.manifest.entries(how)).entries) {
      const spot = this.#spotOf(source, entry.path.toString("latin1"), entry.type === "dir");
      if (!spot) continue;
      const { part, piece, at } = spot;
      const path = Buffer.from(joined(TOP, at), "latin1");
      yield {
        part,
        piece,
        entry: this.#placed(part, this.#linked(entry, path, spot, placed, source)),
        isAbove: false,
      };
    }
  }

  /** With its path, and with the target of a hard link, as they are in the tree. */
  #linked(
    entry: ManifestEntry,
    path: Buffer,
    spot: Spot,
    placed: Map<string, Buffer>,
    source: OpenSource,
  ): ManifestEntry {
    if (entry.type !== "hardlink") return { ...entry, path };
    const name = entry.target?.toString("latin1") ?? "";
    const target = this.#spotOf(source, name);
    if (target && target.piece === spot.piece)
      return { ...entry, path, target: Buffer.from(joined(TOP, target.at), "latin1") };
    const key = `${keyOf(spot.part, spot.piece.at)}\0${name}`;
    const first = placed.get(key);
    if (first) return { ...entry, path, target: first };
    const file = this.#targets.get(`${source.record.name}\0${name}`);
    if (!file)
      throw new DropsError(
        "data/damaged",
        `${shownPath(entry.path)} is a hard link to a file that is not there`,
      );
    placed.set(key, path);
    return { ...file, path };
  }

  #placed(part: PathPart, entry: ManifestEntry): ManifestEntry {
    const { uid, gid, user, group } = entry;
    const here = ownerHere({ uid, gid, user, group }, part.adopt, this.#record);
    return { ...entry, ...here, user: undefined, group: undefined };
  }

  #piecesOf({ record }: OpenSource): readonly { part: PathPart; piece: PathPiece }[] {
    return this.#pieces.get(record.name) ?? [];
  }

  /** Where an entry of a source goes; undefined when another source, or nobody, brings what is there. */
  #spotOf(source: OpenSource, path: string, isDirectory = false): Spot | undefined {
    let found: { part: PathPart; piece: PathPiece; rest: string } | undefined;
    for (const { part, piece } of this.#piecesOf(source)) {
      const rest = below(path, piece.from);
      if (rest !== undefined && (found === undefined || piece.from.length > found.piece.from.length))
        found = { part, piece, rest };
    }
    if (!found || (path.includes(".drops-") && OWN.test(path))) return undefined;
    const { part, piece, rest } = found;
    const at = joined(piece.at, rest);
    const taker = part.pieces.length > 1 ? this.scope(part).taker(at, isDirectory)?.piece : undefined;
    return taker === undefined || taker === piece ? { part, piece, at } : undefined;
  }

  #prelude(source: OpenSource, part: PathPart, { at }: PathPiece): ManifestEntry[] {
    let nearest: ManifestEntry = directoryOf(source, TOP);
    return ancestors(at).map((above) => {
      const path = Buffer.from(joined(TOP, above), "latin1");
      const known = this.#above.get(keyOf(part, above));
      const { uid, gid, user, group, mtime } = nearest;
      nearest = known ?? { ...directoryOf(source, ""), uid, gid, user, group, mtime, mode: 0o755 };
      nearest = { ...nearest, path };
      return nearest;
    });
  }

  async #survey(source: OpenSource, wanted: ReadonlySet<string>, how: Cancel): Promise<void> {
    for (const { part, piece } of this.#piecesOf(source)) {
      const key = keyOf(part, piece.at);
      if (piece.from === "" && wanted.has(key)) this.#above.set(key, directoryOf(source, TOP));
    }
    const crossing = new Set<string>();
    for await (const entry of (await source.manifest.entries(how)).entries) {
      if (entry.type === "hardlink") this.#noteCrossing(source, entry, crossing);
      else if (entry.type === "dir" && wanted.size > 0) this.#noteAbove(source, entry, wanted);
    }
    if (crossing.size > 0) await this.#keepTargets(source, crossing, how);
  }

  async #keepTargets(source: OpenSource, crossing: ReadonlySet<string>, how: Cancel): Promise<void> {
    for await (const entry of (await source.manifest.entries(how)).entries) {
      const name = entry.path.toString("latin1");
      if (crossing.has(name)) this.#targets.set(`${source.record.name}\0${name}`, entry);
    }
  }

  #noteAbove(source: OpenSource, entry: ManifestEntry, wanted: ReadonlySet<string>): void {
    const spot = this.#spotOf(source, entry.path.toString("latin1"), true);
    const key = spot && keyOf(spot.part, spot.at);
    if (key !== undefined && wanted.has(key)) this.#above.set(key, entry);
  }

  #noteCrossing(source: OpenSource, entry: ManifestEntry, crossing: Set<string>): void {
    const spot = this.#spotOf(source, entry.path.toString("latin1"));
    const name = entry.target?.toString("latin1") ?? "";
    if (spot && this.#spotOf(source, name)?.piece !== spot.piece) crossing.add(name);
  }
}

function piecesOf(
  { record }: OpenSource,
  { parts }: PathRecord,
): readonly { part: PathPart; piece: PathPiece }[] {
  return parts.flatMap((part) =>
    part.pieces.filter(({ source }) => source === record.name).map((piece) => ({ part, piece })),
  );
}

/** `a/b/c`: the place itself, `a`, `a/b`. */
function ancestors(at: string): readonly string[] {
  if (at === "") return [];
  const names = at.split("/").slice(0, -1);
  return ["", ...names.map((_, index) => names.slice(0, index + 1).join("/"))];
}

function keyOf({ id }: PathPart, at: string): string {
  return `${id}\0${at}`;
}

/** The directory of a database, which its manifest has no entry for; of files, one that nothing is known of. */
function directoryOf(source: OpenSource, path: string): ManifestEntry {
  const { uid, gid, user, group, mode } = databaseDirectory(source);
  return {
    path: Buffer.from(path, "latin1"),
    type: "dir",
    mode: Number.parseInt(mode, 8),
    uid,
    gid,
    user,
    group,
    mtime: BigInt(Date.parse(source.head.captured_at)) * 1_000_000n,
    size: 0,
    chunks: [],
  };
}

function raise(part: PathPart): never {
  throw new RangeError(`${part.id} is another part`);
}
