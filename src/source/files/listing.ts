import { breathe, mayBreathe, sortWithBreaths } from "../../lib/breathe.ts";
import { shownHostPath } from "./shown-path.ts";

/** What find says a file is, by its letter. */
const KINDS = ["f", "d", "l", "p", "s", "b", "c"] as const;
export type FileKind = (typeof KINDS)[number];

/** One file as it was listed; numbers as stat(2) has them, times in nanoseconds since 1970. */
export interface ListedFile {
  readonly kind: FileKind;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: bigint;
  readonly ctime: bigint;
  readonly inode: bigint;
  readonly device: string;
  readonly links: number;
}

/** The last time that 64 bits of nanoseconds hold. */
const LAST = 2n ** 63n - 1n;
const FIRST_ENTRIES = 4096;
const FIRST_BYTES = 256 * 1024;

/**
 * A listing of very many files, held in a few arrays: about 60 bytes a file and its path. Filled with `add`, then
 * sorted once; read by position after that.
 */
export class FileListing {
  #length = 0;
  #columns = columns(FIRST_ENTRIES);
  #bytes = Buffer.allocUnsafe(FIRST_BYTES);
  #used = 0;
  readonly #devices: string[] = [];
  readonly #deviceNumbers = new Map<string, number>();
  /** Times that 64 bits of nanoseconds do not hold, which end in 2262. */
  readonly #farMtimes = new Map<number, bigint>();
  #order = new Uint32Array(0);

  get length(): number {
    return this.#length;
  }

  /** Of all paths and targets. */
  get pathBytes(): number {
    return this.#used;
  }

  /** Whether everything lies on one file system. */
  get isOfOneDevice(): boolean {
    return this.#devices.length < 2;
  }

  /** `path` and `target` (of a symlink, else empty) are copied. */
  add(path: Buffer, target: Buffer, file: ListedFile): void {
    const at = this.#length++;
    if (at === this.#columns.mode.length) this.#columns = grown(this.#columns);
    const all = this.#columns;
    all.pathAt[at] = this.#keep(path, target);
    all.pathLength[at] = path.length;
    all.targetLength[at] = target.length;
    all.kind[at] = KINDS.indexOf(file.kind);
    all.mode[at] = file.mode;
    all.uid[at] = file.uid;
    all.gid[at] = file.gid;
    all.size[at] = file.size;
    all.mtime[at] = file.mtime;
    if (file.mtime > LAST || file.mtime < -LAST) this.#farMtimes.set(at, file.mtime);
    all.ctime[at] = file.ctime;
    all.inode[at] = file.inode;
    all.device[at] = this.#deviceNumber(file.device);
    all.links[at] = file.links;
  }

  /** Order by path bytes and leave out repeated paths. Positions are meaningful after this. */
  async sort(): Promise<void> {
    const names = await this.#latin1Paths();
    const order = new Uint32Array(this.#length);
    for (let at = 0; at < order.length; at++) order[at] = at;
    const compare = (a: number, b: number) => compareText(names[a] as string, names[b] as string);
    const sorted = await sortWithBreaths(order, compare);
    const once = sorted.filter(
      (at, position) => position === 0 || names[at] !== names[sorted[position - 1] as number],
    );
    this.#order = once;
    this.#length = once.length;
  }

  kind(position: number): FileKind {
    return KINDS[this.#columns.kind[this.#at(position)] as number] as FileKind;
  }

  size(position: number): number {
    return this.#columns.size[this.#at(position)] as number;
  }

  mtime(position: number): bigint {
    const at = this.#at(position);
    const far = this.#farMtimes.size === 0 ? undefined : this.#farMtimes.get(at);
    return far ?? (this.#columns.mtime[at] as bigint);
  }

  ctime(position: number): bigint {
    return this.#columns.ctime[this.#at(position)] as bigint;
  }

  mode(position: number): number {
    return this.#columns.mode[this.#at(position)] as number;
  }

  uid(position: number): number {
    return this.#columns.uid[this.#at(position)] as number;
  }

  gid(position: number): number {
    return this.#columns.gid[this.#at(position)] as number;
  }

  /** How many names its inode has on its file system. */
  links(position: number): number {
    return this.#columns.links[this.#at(position)] as number;
  }

  /** `DEVICE:INODE`: equal for names of the same inode. */
  inode(position: number): string {
    const at = this.#at(position);
    return `${this.#devices[this.#columns.device[at] as number]}:${this.#columns.inode[at]}`;
  }

  device(position: number): string {
    return this.#devices[this.#columns.device[this.#at(position)] as number] as string;
  }

  /** Relative to `/`; a view. */
  path(position: number): Buffer {
    const from = this.#columns.pathAt[this.#at(position)] as number;
    return this.#bytes.subarray(from, from + (this.#columns.pathLength[this.#at(position)] as number));
  }

  /** What a symlink says; a view. */
  target(position: number): Buffer {
    const at = this.#at(position);
    const from = (this.#columns.pathAt[at] as number) + (this.#columns.pathLength[at] as number);
    return this.#bytes.subarray(from, from + (this.#columns.targetLength[at] as number));
  }

  /** Its path in a sentence. */
  shown(position: number): string {
    return shownHostPath(this.path(position));
  }

  /** Below 0, 0 or above 0 as `path` sorts after, with or before the path at `position`. */
  comparePath(position: number, path: Buffer): number {
    const at = this.#at(position);
    const from = this.#columns.pathAt[at] as number;
    return this.#bytes.compare(path, 0, path.length, from, from + (this.#columns.pathLength[at] as number));
  }

  /** The distinct user and group numbers. */
  owners(): { readonly uids: ReadonlySet<number>; readonly gids: ReadonlySet<number> } {
    const { uid, gid } = this.#columns;
    const uids = new Set<number>();
    const gids = new Set<number>();
    for (const at of this.#order) {
      uids.add(uid[at] as number);
      gids.add(gid[at] as number);
    }
    return { uids, gids };
  }

  #at(position: number): number {
    return this.#order[position] as number;
  }

  #keep(path: Buffer, target: Buffer): number {
    const from = this.#used;
    this.#used += path.length + target.length;
    if (this.#used > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#used, Math.ceil(this.#bytes.length * 1.5)));
      this.#bytes.copy(larger, 0, 0, from);
      this.#bytes = larger;
    }
    path.copy(this.#bytes, from);
    target.copy(this.#bytes, from + path.length);
    return from;
  }

  #deviceNumber(device: string): number {
    const known = this.#deviceNumbers.get(device);
    if (known !== undefined) return known;
    this.#deviceNumbers.set(device, this.#devices.length);
    return this.#devices.push(device) - 1;
  }

  /** One character a byte: text of this kind sorts as its bytes do, several times faster than buffers. */
  async #latin1Paths(): Promise<string[]> {
    const { pathAt, pathLength } = this.#columns;
    const paths: string[] = [];
    for (let at = 0; at < this.#length; at++) {
      const from = pathAt[at] as number;
      paths.push(this.#bytes.toString("latin1", from, from + (pathLength[at] as number)));
      if (mayBreathe(at)) await breathe();
    }
    return paths;
  }
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

type Columns = ReturnType<typeof columns>;

function columns(length: number) {
  return {
    pathAt: new Float64Array(length), // bytes of paths may pass 4 GiB
    pathLength: new Uint16Array(length),
    targetLength: new Uint16Array(length),
    kind: new Uint8Array(length),
    mode: new Uint16Array(length),
    uid: new Uint32Array(length),
    gid: new Uint32Array(length),
    size: new Float64Array(length),
    mtime: new BigInt64Array(length),
    ctime: new BigInt64Array(length),
    inode: new BigUint64Array(length),
    device: new Uint32Array(length),
    links: new Uint32Array(length),
  };
}

function grown(old: Columns): Columns {
  const next = columns(Math.ceil(old.mode.length * 1.5));
  for (const name of Object.keys(old) as (keyof Columns)[]) next[name].set(old[name] as never);
  return next;
}
