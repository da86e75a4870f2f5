import { commandFailed } from "../../host/expect-success.ts";
import type { Host } from "../../host/host.ts";
import type { Cancel } from "../../lib/cancel.ts";
import type { EntryType, ManifestEntry } from "../../snapshot/entry.ts";
import { FIND_FORMAT, readFindOutput } from "../../source/files/find-output.ts";
import { FileListing } from "../../source/files/listing.ts";
import { shownPath } from "../../source/files/shown-path.ts";
import { ancestorsOf, below, rawPath, type Scope, type TreeEntry } from "../../source/scope.ts";
import { joined } from "./record.ts";
import { TOP } from "./tree.ts";

const LETTERS: Readonly<Record<EntryType, string>> = {
  file: "f",
  hardlink: "f",
  dir: "d",
  symlink: "l",
  fifo: "p",
};

/** What there is at and below a path of a host, and which of it was expected. */
export class HostTree {
  /** Of the host. */
  readonly top: string;
  readonly #listing: FileListing;
  readonly #raw: string;
  readonly #seen: Uint8Array;
  readonly #isRoot: boolean;

  private constructor(top: string, listing: FileListing, isRoot: boolean) {
    this.top = top;
    this.#listing = listing;
    this.#raw = rawPath(top);
    this.#seen = new Uint8Array(listing.length);
    this.#isRoot = isRoot;
  }

  /** Directories of drops itself are left out. Throws host/command-failed. */
  static async list(host: Host, top: string, how: Cancel): Promise<HostTree> {
    const listing = new FileListing();
    const own = ["(", "-name", ".drops-restore-*", "-o", "-name", ".drops-staging-*", ")", "-prune", "-o"];
    const argv = ["find", "-P", top, ...own, "-printf", FIND_FORMAT];
    await using find = await host.start(argv, { ...how, env: { LC_ALL: "C" } });
    find.stdin.end();
    await readFindOutput(find.stdout, listing);
    const ended = await find.ended;
    how.signal.throwIfAborted();
    // with nothing there at all, everything is said to be missing
    if (ended.exit !== 0 && listing.length > 0)
      throw commandFailed(`comparing ${top} on ${host.label}`, ended);
    await listing.sort();
    return new HostTree(top, listing, host.user.uid === 0);
  }

  /** What differs from an entry that is expected here, in words. */
  compare(entry: ManifestEntry): readonly string[] {
    const at = this.#find(this.#pathOf(entry.path));
    const shown = this.#shown(entry.path);
    if (at === undefined) return [`${shown} is missing`];
    this.#seen[at] = 1;
    const letter = this.#listing.kind(at);
    if (letter !== LETTERS[entry.type]) return [`${shown} is of type ${letter} and was a ${entry.type}`];
    if (entry.type !== "hardlink") return this.#attributes(at, entry, shown);
    // the file itself is compared where it stands
    const target = this.#find(this.#pathOf(entry.target ?? entry.path));
    const isSame = target !== undefined && this.#listing.inode(target) === this.#listing.inode(at);
    return isSame ? [] : [`${shown} is no hard link to ${this.#shown(entry.target ?? entry.path)} any more`];
  }

  /** What is there and was not expected, but for what no source takes: that was there before, and goes along. */
  *strangers(scope: Scope): Generator<string> {
    if (!this.#seen.includes(0)) return;
    const tops = new Set(scope.outside(this.#below()).map(({ path }) => path));
    const above = new Set([...tops].flatMap(ancestorsOf)); // made to hold it, where the snapshot has no such directory
    for (let at = 0; at < this.#listing.length; at++) {
      if (this.#seen[at] !== 0) continue;
      const path = this.#relative(at);
      if (above.has(path) || [path, ...ancestorsOf(path)].some((each) => tops.has(each))) continue;
      yield `${this.#listing.shown(at)} is not in the snapshot`;
    }
  }

  *#below(): Generator<TreeEntry> {
    for (let at = 0; at < this.#listing.length; at++) {
      const path = this.#relative(at);
      if (path !== "") yield { path, isDirectory: this.#listing.kind(at) === "d", bytes: 0 };
    }
  }

  #relative(at: number): string {
    return below(this.#listing.path(at).toString("latin1"), this.#raw) ?? "";
  }

  /** Names and sizes of the files in a directory of it. */
  filesIn(directory: string): ReadonlyMap<string, number> {
    const above = Buffer.from(`${joined(this.#raw, directory)}/`, "latin1");
    const files = new Map<string, number>();
    for (let at = 0; at < this.#listing.length; at++) {
      const path = this.#listing.path(at);
      if (this.#listing.kind(at) !== "f" || !path.subarray(0, above.length).equals(above)) continue;
      const name = path.toString("latin1", above.length);
      if (!name.includes("/")) files.set(name, this.#listing.size(at));
    }
    return files;
  }

  #attributes(at: number, entry: ManifestEntry, shown: string): readonly string[] {
    const all = this.#listing;
    const found: string[] = [];
    const expect = (what: string, now: string | number | bigint, then: string | number | bigint) => {
      if (now !== then) found.push(`${shown} has ${what} ${now} and had ${then}`);
    };
    if (entry.type === "file") expect("size", all.size(at), entry.size);
    if (entry.type === "symlink")
      expect("target", shownPath(all.target(at)), shownPath(entry.target ?? Buffer.alloc(0)));
    else expect("mode", all.mode(at).toString(8), entry.mode.toString(8));
    expect("time", all.mtime(at), entry.mtime);
    if (this.#isRoot) expect("owner", `${all.uid(at)}:${all.gid(at)}`, `${entry.uid}:${entry.gid}`);
    return found;
  }

  #find(path: Buffer): number | undefined {
    let [from, to] = [0, this.#listing.length];
    while (from < to) {
      const middle = (from + to) >>> 1;
      const order = this.#listing.comparePath(middle, path);
      if (order === 0) return middle;
      if (order < 0) from = middle + 1;
      else to = middle;
    }
    return undefined;
  }

  #pathOf(entryPath: Buffer): Buffer {
    return Buffer.from(joined(this.#raw, below(entryPath.toString("latin1"), TOP) ?? ""), "latin1");
  }

  #shown(entryPath: Buffer): string {
    return `/${shownPath(this.#pathOf(entryPath))}`;
  }
}
