import { posix } from "node:path";
import { type DropsError, refused } from "../../lib/errors.ts";
import { below, rawPath } from "../../source/scope.ts";
import type { Ground, HostPlace } from "./places.ts";
import { hostPath, joined, type PathPart, type PathPiece } from "./record.ts";
import type { WantedPlace } from "./survey.ts";

/** Something that is swapped as one, with all that belongs into it. */
export interface LaidPart {
  readonly real: string;
  readonly mode: PathPart["mode"];
  /** The mount point that it lies on. */
  readonly mount: string;
  readonly pieces: readonly LaidPiece[];
}

export interface LaidPiece extends PathPiece {
  readonly wanted: WantedPlace;
}

interface Root {
  /** Raw. */
  readonly real: string;
  readonly pieces: LaidPiece[];
}

/** Every path of the host that is looked at before anything is laid out. */
export function placesOf(wanted: readonly WantedPlace[]): readonly string[] {
  return [...new Set(wanted.flatMap(({ place, link }) => [place, ...(link ? [link.target] : [])]))];
}

/**
 * Where everything goes on this host. What lies in the place of something else is part of it; a symlink on the way to a
 * place, or in its place, is followed. Pure.
 *
 * @param mounts mount points of the host
 * @throws DropsError safety/refused when two things have one place, or something else is mounted inside of one
 */
export function layOut(
  wanted: readonly WantedPlace[],
  places: ReadonlyMap<string, HostPlace>,
  mounts: readonly string[],
): readonly LaidPart[] {
  const placeOf = (path: string): HostPlace =>
    places.get(path) ?? { spot: path, spotKind: "-", real: path, realKind: "-" };
  const roots: Root[] = [];
  const put = (piece: WantedPlace, { spot, real }: HostPlace, from = piece.from) => {
    const target = rawPath(piece.itself ? spot : real);
    const add = (root: Root, at: string) => {
      if (at === "") throw samePlace(root, piece);
      root.pieces.push({ source: piece.source, from, at, wanted: piece });
    };
    for (const root of roots) {
      const at = below(rawPath(spot), root.real) ?? below(target, root.real);
      if (at !== undefined) return add(root, at);
    }
    roots.push({ real: target, pieces: [{ source: piece.source, from, at: "", wanted: piece }] });
  };
  const made: { readonly spot: string; readonly leads: string }[] = [];
  /** What is reached through a link that is made lies where that leads. */
  const through = (place: HostPlace): HostPlace => {
    const link = made.findLast(({ spot }) => below(rawPath(place.spot), spot));
    if (!link) return place;
    const spot = hostPath(joined(link.leads, below(rawPath(place.spot), link.spot) ?? ""));
    return { ...place, spot, real: spot };
  };
  const byDepth = wanted.toSorted((a, b) => placeOf(a.place).real.length - placeOf(b.place).real.length);
  for (const piece of byDepth) {
    const place = through(placeOf(piece.place));
    const isInner = roots.some(({ real }) => below(rawPath(place.spot), real) !== undefined);
    if (!piece.link || !(isInner || place.spotKind === "-")) {
      put(piece, place);
      continue;
    }
    // there is no such link on this host, or the one that is there is replaced with what it lies in
    put({ ...piece, type: "symlink", itself: true }, place, piece.link.from);
    const target = placeOf(piece.link.target);
    put(piece, target);
    made.push({ spot: rawPath(place.spot), leads: rawPath(target.real) });
  }
  return nested(roots).map((root) => partOf(root, mounts));
}

/** The directories of the run that belong to a part. */
export function workOf({ real, mode }: Pick<LaidPart, "real" | "mode">, run: string): string {
  return posix.join(mode === "inside" ? real : posix.dirname(real), `.drops-restore-${run}`);
}

/** Directories that must be made to hold these paths, the deepest first. */
export function missingAbove(reals: readonly string[], grounds: readonly Ground[]): readonly string[] {
  const missing = new Set<string>();
  for (const [index, real] of reals.entries()) {
    const ground = grounds[index]?.path ?? "/";
    for (let above = posix.dirname(real); above.length > ground.length; above = posix.dirname(above))
      missing.add(above);
  }
  return [...missing].sort((a, b) => b.length - a.length);
}

/** What keeps a place from being swapped, or from being the one that was looked at before; undefined when nothing does. */
export function mountProblem(
  { real, mount }: Pick<LaidPart, "real" | "mount">,
  mounts: readonly string[],
): string | undefined {
  const inside = mounts.find((each) => each.startsWith(`${real}/`));
  if (inside !== undefined) return `${inside} is mounted inside ${real}, which is to be replaced`;
  if (mountOf(real, mounts) === mount) return undefined;
  return mounts.includes(mount)
    ? `something else is mounted at ${mountOf(real, mounts)} now`
    : `${mount} is not mounted`;
}

function mountOf(path: string, mounts: readonly string[]): string {
  const above = mounts.filter((mount) => mount === "/" || path === mount || path.startsWith(`${mount}/`));
  return above.reduce((longest, mount) => (mount.length > longest.length ? mount : longest), "/");
}

/** Roots that lie in others become part of them. */
function nested(roots: readonly Root[]): readonly Root[] {
  const sorted = roots.toSorted((a, b) => a.real.length - b.real.length);
  const outer: Root[] = [];
  for (const root of sorted) {
    const above = outer.find(({ real }) => below(root.real, real) !== undefined);
    if (!above) {
      outer.push(root);
      continue;
    }
    const at = below(root.real, above.real) ?? "";
    if (at === "" && root.pieces[0]) throw samePlace(above, root.pieces[0].wanted);
    above.pieces.push(...root.pieces.map((piece) => ({ ...piece, at: joined(at, piece.at) })));
  }
  return outer;
}

function partOf(root: Root, mounts: readonly string[]): LaidPart {
  const real = hostPath(root.real);
  const pieces = root.pieces.toSorted((a, b) => a.at.length - b.at.length);
  const mode = mounts.includes(real) ? "inside" : "rename";
  if (real === "/") throw refused("/ cannot be replaced", "restore --to DIR");
  const mount = mountOf(real, mounts);
  const problem = mountProblem({ real, mount }, mounts);
  if (problem !== undefined)
    throw refused(problem, "umount it for the time of the restore, or restore --to DIR and copy by hand");
  if (mode === "inside" && pieces[0]?.wanted.type !== "dir")
    throw refused(`${real} is a mount point and was no directory when it was captured`, "umount it first");
  return { real, mode, mount, pieces };
}

function samePlace(root: Root, piece: WantedPlace): DropsError {
  const other = root.pieces[0]?.source ?? "";
  return refused(
    `${piece.source} and ${other} are both restored to ${hostPath(root.real)}`,
    `restore --only ${piece.source} --to DIR`,
  );
}
