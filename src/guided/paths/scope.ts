import type { FilesPolicy, RocksdbPolicy } from "../../policy/schema.ts";
import { below, rawPath, Scope, type ScopeRoot, tidy } from "../../source/scope.ts";
import { joined, type PathPart, type PathPiece } from "./record.ts";

interface PieceRoot extends ScopeRoot {
  readonly piece: PathPiece;
}

export type PartScope = Scope<PieceRoot>;

/** What of a part the sources take that are written into it. Its paths are those below the part. */
export function scopeOf(part: PathPart, policies: readonly (FilesPolicy | RocksdbPolicy)[]): PartScope {
  const roots = part.pieces.flatMap((piece): PieceRoot[] => {
    const policy = policies.find(({ name }) => name === piece.source);
    if (!policy) throw new RangeError(`no policy of ${piece.source}`);
    if (policy.kind === "rocksdb") return [{ at: piece.at, captured: "", policy, piece }];
    // a path that the policy names is captured even where another pattern of it excludes what holds the path
    const starts = [piece.from, ...policy.paths.map((path) => rawPath(tidy(path)))];
    return [...new Set(starts)].flatMap((captured) => {
      const rest = below(captured, piece.from);
      return rest === undefined ? [] : [{ at: joined(piece.at, rest), captured, policy, piece }];
    });
  });
  return new Scope(roots);
}
