import * as z from "zod";

/** Paths inside a source or a tree are raw bytes, one character a byte (latin1); paths of the host are text. */
const Piece = z.object({
  source: z.string(),
  /** Of the source: what lies at and below this path of its manifest; empty means all, and that the directory has no entry. */
  from: z.string(),
  /** Where in the place it belongs; empty means that it is the place. */
  at: z.string(),
});
export type PathPiece = z.infer<typeof Piece>;

const Adopted = z.object({ from: z.int(), to: z.int() });

const Part = z.object({
  /** `SOURCE-1`, part of the names in the working directory. */
  id: z.string(),
  /** Of the host, symlinks followed. */
  real: z.string(),
  /** The run's directory beside it, or in it when it is a mount point. */
  work: z.string(),
  mode: z.enum(["rename", "inside"]),
  /** The mount point of the file system that it is on. */
  mount: z.string(),
  /** The first one is the place itself, the others lie in it, outer ones first. */
  pieces: z.array(Piece).min(1),
  /** Whose numbers in the snapshot are another's on this host, since there is no name to tell. */
  adopt: z.object({ uid: Adopted.optional(), gid: Adopted.optional() }),
});
export type PathPart = z.infer<typeof Part>;

const Numbers = z.record(z.string(), z.int());

/** What a run has noted of the paths of a group before it touched them. How far each one is, is told by what is there. */
export const PathRecord = z.object({
  drops: z.literal("path-replacement"),
  version: z.literal(1),
  run: z.string(),
  source: z.string(),
  parts: z.array(Part),
  /** Directories above that are made, the deepest first. */
  parents: z.array(z.string()),
  /** Numbers on this host of the names in the snapshot. */
  users: Numbers,
  groups: Numbers,
  /** What was found when it was planned. */
  notes: z.array(z.string()),
  /** There before the markers that say that it is whole. */
  staged: z.object({ files: z.int(), bytes: z.int(), notes: z.array(z.string()) }).optional(),
  /** Where a replacement of nothing has come. */
  empty: z.enum(["staged", "swapped"]).optional(),
  /** The old is to be removed: there is no way back. */
  finishing: z.boolean().optional(),
});
export type PathRecord = z.infer<typeof PathRecord>;

/** A raw path as one of the host: the other way than `rawPath`. */
export function hostPath(raw: string): string {
  return `/${Buffer.from(raw, "latin1").toString()}`;
}

export function joined(above: string, below: string): string {
  if (above === "") return below;
  return below === "" ? above : `${above}/${below}`;
}
