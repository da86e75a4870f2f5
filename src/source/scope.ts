import { matchesGlob } from "../lib/glob.ts";
import type { FilesPolicy, RocksdbPolicy, SourcePolicy } from "../policy/schema.ts";
import { MAX_PATH } from "../snapshot/entry.ts";

/** Where a source begins in a tree. Paths are raw: one character a byte (latin1), without the slash they begin with. */
export interface ScopeRoot {
  /** Its path in the tree; empty is the tree itself. */
  readonly at: string;
  /** The path by which its capture reaches it: what the patterns of `exclude` are compared with. */
  readonly captured: string;
  readonly policy: FilesPolicy | RocksdbPolicy;
}

export interface TreeEntry {
  readonly path: string;
  readonly isDirectory: boolean;
  /** Of content. */
  readonly bytes: number;
}

export interface Outside {
  readonly path: string;
  /** Of content, at it and below it. */
  readonly bytes: number;
}

/** Regular files that RocksDB makes in its directory, and the directory of logs that it keeps for a while. */
const OF_ROCKSDB =
  /^(?:\d+\.(?:sst|blob|log|ldb|dbtmp)(?:\.trash)?|(?:CURRENT|IDENTITY)(?:\.dbtmp)?|LOCK|LOG|LOG\.old(?:\.\d+)?|MANIFEST-\d+|OPTIONS-\d+(?:\.dbtmp)?|archive\/\d+\.log)$/;
const OF_DROPS = /(?:^|\/)\.drops-(?:restore|staging)-[^/]*$/;

/** What of a tree its sources take, and what none of them takes: that is in no backup, and a restore must not remove it. */
export class Scope<Root extends ScopeRoot = ScopeRoot> {
  readonly #roots: readonly { readonly root: Root; readonly excluded: Excluded }[];

  constructor(roots: readonly Root[]) {
    this.#roots = roots
      .toSorted((a, b) => b.at.length - a.at.length)
      .map((root) => ({ root, excluded: new Excluded(root) }));
  }

  /** The innermost root whose source takes a path of the tree; undefined when none does. */
  taker(path: string, isDirectory: boolean): Root | undefined {
    const takes = ({ root, excluded }: { readonly root: Root; readonly excluded: Excluded }) => {
      const rest = below(path, root.at);
      if (rest === undefined) return false;
      if (root.policy.kind === "files") return !excluded.has(rest);
      if (rest === "" || rest === "archive") return isDirectory;
      return !isDirectory && OF_ROCKSDB.test(rest);
    };
    return this.#roots.find(takes)?.root;
  }

  /**
   * What of the tree no source takes: each path with all that is below it, but for what a source inside of it takes.
   *
   * @param entries in ascending order of path bytes, the tree itself left out
   */
  outside(entries: Iterable<TreeEntry>): readonly Outside[] {
    const bytes = new Map<string, number>();
    const passed = new Set<string>(); // directories of drops itself are nobody's data
    for (const { path, isDirectory, bytes: own } of entries) {
      if (isDirectory && OF_DROPS.test(path)) passed.add(path);
      const above = [path, ...ancestorsOf(path)];
      const top = above.find((each) => bytes.has(each));
      if (top !== undefined) bytes.set(top, (bytes.get(top) ?? 0) + own);
      else if (!above.some((each) => passed.has(each)) && this.#isOutside(path, isDirectory))
        bytes.set(path, own);
    }
    return [...bytes].map(([path, total]) => ({ path, bytes: total }));
  }

  /** A directory on the way to a source is neither. */
  #isOutside(path: string, isDirectory: boolean): boolean {
    if (this.taker(path, isDirectory)) return false;
    return !isDirectory || this.#roots.every(({ root }) => !below(root.at, path));
  }
}

/** What of a root find leaves out for its patterns. */
class Excluded {
  readonly #captured: string;
  readonly #patterns: readonly string[];
  /** Of neighbours: most paths are asked for in their order. */
  #last: { readonly above: string; readonly has: boolean } | undefined;

  constructor({ captured, policy }: ScopeRoot) {
    this.#captured = `/${captured}`;
    const patterns = policy.kind === "files" ? policy.exclude : [];
    this.#patterns = patterns.map((pattern) =>
      Buffer.from(pattern.startsWith("/") ? tidy(pattern) : pattern).toString("latin1"),
    );
  }

  has(rest: string): boolean {
    const path = rest === "" ? this.#captured : `${this.#captured}/${rest}`;
    if (path.length >= MAX_PATH || this.#patterns.some((pattern) => matchesGlob(path, pattern))) return true;
    if (rest === "" || this.#patterns.length === 0) return false;
    const above = rest.slice(0, Math.max(0, rest.lastIndexOf("/")));
    if (this.#last?.above !== above) this.#last = { above, has: this.has(above) };
    return this.#last.has;
  }
}

/** The paths of a source that has some, as the policy says them. */
export function pathsOf(source: SourcePolicy): readonly string[] {
  if (source.kind === "rocksdb") return [source.path];
  return source.kind === "files" ? source.paths : [];
}

/** Without doubled slashes, `.` segments and a slash at the end. */
export function tidy(path: string): string {
  return `/${path
    .split("/")
    .filter((part) => part !== "" && part !== ".")
    .join("/")}`;
}

/** A path of the host as the characters of its bytes, without the slash it begins with. */
export function rawPath(path: string): string {
  return Buffer.from(path.replace(/^\/+/, "")).toString("latin1");
}

/** What `path` is below `above`: empty when it is the same, undefined when it lies elsewhere. */
export function below(path: string, above: string): string | undefined {
  if (above === "" || path === above) return path === above ? "" : path;
  return path.startsWith(`${above}/`) ? path.slice(above.length + 1) : undefined;
}

/** `a/b/c`: `a/b`, `a`. */
export function ancestorsOf(path: string): readonly string[] {
  const above: string[] = [];
  for (let end = path.lastIndexOf("/"); end > 0; end = path.lastIndexOf("/", end - 1))
    above.push(path.slice(0, end));
  return above;
}
