import type { Host } from "../host/host.ts";
import type { Cancel } from "../lib/cancel.ts";
import type { SourcePolicy } from "../policy/schema.ts";
import type { ChunkRef, EntryHead, ManifestEntry } from "../snapshot/entry.ts";

/** Plain JSON for the manifest's head: what a restore must know and compare (64-bit numbers as strings). */
export type SourceFacts = Readonly<Record<string, unknown>>;

/** The head of an entry that is not a file of the host: what a program wrote. */
export function outputHead(path: string, capturedAt: Date): EntryHead {
  const mtime = BigInt(capturedAt.getTime()) * 1_000_000n;
  return { path: Buffer.from(path), type: "file", mode: 0o600, uid: 0, gid: 0, mtime };
}

/** What a kind of source needs to freeze its view. */
export interface CaptureContext extends Cancel {
  readonly host: Host;
  readonly policyName: string;
  /** Of the whole policy. */
  readonly sources: readonly SourcePolicy[];
  /** Share (0 to 1) of the unchanged files that is read and compared all the same; 1 reads all. */
  readonly rereadShare: number;
  readonly now: () => Date;
  readonly random: () => number;
  /** One line for the operator about what is going on; not an error. */
  readonly say: (line: string) => void;
}

/**
 * A source frozen at the recovery point: `freeze` has done all that must happen at that instant and has proven it
 * (design.md, "proof at capture"); `ship` moves the bytes afterwards. Closing it releases whatever holds the view
 * (staging, database session), also after a failure.
 */
export interface FrozenSource extends AsyncDisposable {
  readonly capturedAt: Date;
  /** Whole once `ship` is done; a checkpoint in the middle takes what there is. */
  readonly facts: SourceFacts;
  /**
   * Hand every entry to `into`, in ascending order of path bytes. Throws source/failed (or a host failure) when the
   * source as a whole cannot be trusted; a vanished or changing file is a note. When a file is there but cannot be read, the
   * rest is handed over first, and is to be stored: then source/incomplete is thrown, which names what is missing.
   */
  ship(into: SourceSink, how: Cancel): Promise<void>;
}

/** Where the entries of one source go. Implemented by the backup verb. */
export interface SourceSink {
  /** Entries of the newest success of this source (and a newer checkpoint), ascending path bytes; empty when there is none. */
  previous(): AsyncIterable<ManifestEntry>;
  /**
   * Carry an unchanged entry over without reading it. False when its content is not all known to be in the store: then
   * the caller must read the file. The entry given may carry newer metadata than the previous one.
   */
  keep(entry: ManifestEntry): boolean;
  /** An entry without content: dir, symlink, hardlink, fifo. */
  add(entry: EntryHead): void;
  /**
   * Read `data` to its end, cut it, store what is new, add the entry. A view that `data` yields is copied before the
   * next pull, so its memory may be reused. `content` cuts by content (FastCDC: dumps, media, anything that shifts);
   * `fixed` cuts at fixed offsets (faster, for immutable files).
   */
  file(
    entry: EntryHead,
    data: AsyncIterable<Uint8Array>,
    how: Cancel & { readonly cutting: "content" | "fixed" },
  ): Promise<{ readonly size: number; readonly chunks: readonly ChunkRef[] }>;
  /**
   * Take files back that turned out not to be what they are on the host, by their paths, and the hard links to them.
   * Answers the paths of those links.
   */
  drop(paths: readonly Buffer[]): Promise<readonly Buffer[]>;
  /** Something the operator should know that does not make the source fail; kept in the record. */
  note(text: string): void;
}
