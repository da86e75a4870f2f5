import type { Host } from "../host/host.ts";
import type { Cancel } from "../lib/cancel.ts";
import { DropsError } from "../lib/errors.ts";
import type { FilesPolicy, RocksdbPolicy, SourcePolicy } from "../policy/schema.ts";
import { excludesAsCaptured } from "./excludes.ts";
import { realPaths } from "./real-paths.ts";
import { below, pathsOf, rawPath, Scope, tidy } from "./scope.ts";

/** Two sources that would both store the same files. */
export interface Overlap {
  /** The source to change. */
  readonly source: string;
  readonly other: string;
  /** Path of the other source, as the policy says it. */
  readonly path: string;
  readonly message: string;
  readonly hint: string;
}

type PathSource = FilesPolicy | RocksdbPolicy;

/** Of each kind of file of a database one: a source that takes any of them stores a part of the database. */
const OF_A_DATABASE = ["CURRENT", "MANIFEST-000005", "000004.log", "000012.sst"];
/** No pattern but one that takes everything in a directory matches it. */
const ANYTHING = "\u0001";

/**
 * Sources of which one stores what another one stores too: the same path, or a path inside of it that it does not exclude.
 * What has a source of its own belongs to that alone: stored twice it costs twice, and a database that is copied as files is
 * torn. Pure.
 *
 * @param real where a path leads to when symlinks are followed; without it paths are compared as they are written
 */
export function overlapsOf(
  sources: readonly SourcePolicy[],
  real: (path: string) => string = (path) => path,
): readonly Overlap[] {
  const leads = (path: string) => tidy(real(path));
  const withPaths = sources.filter((source) => source.kind === "files" || source.kind === "rocksdb");
  return withPaths.flatMap((inner, index) =>
    withPaths.flatMap((outer, position) => {
      if (outer === inner) return [];
      const path = pathsOf(inner).find((each) => holds(outer, inner, each, leads, position < index));
      return path === undefined ? [] : [overlapOf(outer, inner, path, leads)];
    }),
  );
}

/** The overlaps of a policy's sources, symlinks of the host followed. Throws as the host does. */
export async function overlapsOn(
  host: Host,
  sources: readonly SourcePolicy[],
  how: Cancel,
): Promise<readonly Overlap[]> {
  const found = await realPaths(host, [...new Set(sources.flatMap(pathsOf))], how);
  return overlapsOf(sources, (path) => found[path] ?? path);
}

/** Throws source/failed when this source would store what another one stores too. */
export function refuseOverlap({ name }: SourcePolicy, overlaps: readonly Overlap[]): void {
  const overlap = overlaps.find(({ source }) => source === name);
  if (overlap) throw new DropsError("source/failed", overlap.message, { hint: overlap.hint });
}

/** Whether `outer` stores what `inner` stores at its `path`; of two that have one path the later one does. */
function holds(
  outer: PathSource,
  inner: PathSource,
  path: string,
  real: (path: string) => string,
  isEarlier: boolean,
): boolean {
  const names = [...new Set([tidy(path), real(path)])].map(rawPath);
  if (outer.kind === "rocksdb")
    return inner.kind === "rocksdb" && !isEarlier && rawPath(real(outer.path)) === rawPath(real(path));
  const policy = { ...outer, exclude: excludesAsCaptured(outer, real) };
  return policy.paths.some((above) => {
    const start = rawPath(real(above));
    // by either name its capture may reach it
    const scopes = [...new Set([start, rawPath(tidy(above))])].map(
      (captured) => new Scope([{ at: start, captured, policy }]),
    );
    const takes = (name: string) => scopes.every((scope) => scope.taker(name, false) !== undefined);
    return names.some((name) => {
      const rest = below(name, start);
      if (rest === undefined) return false;
      if (inner.kind === "rocksdb") return OF_A_DATABASE.some((file) => takes(`${name}/${file}`));
      if (rest === "" && isEarlier) return false; // told once
      return takes(name) && takes(`${name}/${ANYTHING}`);
    });
  });
}

function overlapOf(
  outer: PathSource,
  inner: PathSource,
  path: string,
  real: (path: string) => string,
): Overlap {
  const at = real(path) === tidy(path) ? path : `${path} (${real(path)})`;
  const isDatabase = inner.kind === "rocksdb" && outer.kind === "files";
  const isSame = pathsOf(outer).some((each) => real(each) === real(path));
  const message = `source ${outer.name} also holds ${at}, ${isDatabase ? "the database of" : "which belongs to"} source ${inner.name}`;
  const hint = !isSame
    ? `exclude it in source ${outer.name}: exclude: ["${real(path)}"]`
    : isDatabase
      ? `exclude the database's own files in source ${outer.name}, as drops init does: CURRENT, MANIFEST-*, *.sst, *.log and the others`
      : `take ${path} out of source ${outer.name} or ${inner.name}`;
  return { source: outer.name, other: inner.name, path, message, hint };
}
