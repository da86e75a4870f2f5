import { breathe } from "../../../lib/breathe.ts";
import type { Cancel } from "../../../lib/cancel.ts";
import { type BlockChecksum, blockChecksums, contextModifier } from "./block-checksum.ts";
import { Cursor } from "./cursor.ts";
import { inflateBlock, readEntries, readIndex } from "./table-block.ts";
import {
  type BlockHandle,
  damaged,
  FOOTER_SIZE,
  parseFooter,
  readHandle,
  type TableFooter,
  TRAILER_SIZE,
} from "./table-footer.ts";

/** A table file to read from: `read` gives exactly `length` bytes from `offset`, in memory that stays untouched. */
export interface TableBytes {
  readonly size: number;
  read(offset: number, length: number): Promise<Buffer>;
}

const WINDOW = 1024 * 1024;
const TWO_LEVEL = 2;
const FIRST_KEYS = 3;

/**
 * Reads the blocks of a block-based table, each proven by its checksum before it is handed out. Every method throws
 * data/damaged, or format/unsupported for what is newer than this reader. No more bytes are read than the table has,
 * however its handles lie: what overlaps is damage.
 */
export class TableReader {
  readonly footer: TableFooter;
  /** Every block that was read, in the order of reading. */
  readonly seen: BlockHandle[] = [];
  readonly #table: TableBytes;
  readonly #what: string;
  readonly #checksumOf: BlockChecksum;
  readonly #signal: AbortSignal;
  #seenBytes = 0;
  #window: { readonly offset: number; readonly bytes: Buffer } | undefined;

  private constructor(
    table: TableBytes,
    { footer, what, checksumOf }: { footer: TableFooter; what: string; checksumOf: BlockChecksum },
    { signal }: Cancel,
  ) {
    this.#table = table;
    this.footer = footer;
    this.#what = what;
    this.#checksumOf = checksumOf;
    this.#signal = signal;
  }

  static async open(table: TableBytes, what: string, how: Cancel): Promise<TableReader> {
    const checksumOf = await blockChecksums();
    const end = Math.min(table.size, FOOTER_SIZE);
    const footer = parseFooter(await table.read(table.size - end, end), table.size, what, checksumOf);
    return new TableReader(table, { footer, what, checksumOf }, how);
  }

  /** What the table holds beside data, by name: handles, encoded. */
  async metaindex(): Promise<ReadonlyMap<string, Buffer>> {
    const block = await this.open(this.footer.metaindex, "metaindex");
    return readEntries(block, `the metaindex of ${this.#what}`);
  }

  async properties(meta: ReadonlyMap<string, Buffer>): Promise<TableProperties> {
    const value = meta.get("rocksdb.properties");
    if (value === undefined) return new TableProperties(new Map(), this.#what);
    const block = await this.open(this.handle(value), "properties");
    return new TableProperties(readEntries(block, `the properties of ${this.#what}`), this.#what);
  }

  /** Where the data blocks lie, in the order of their keys: through the index, and its partitions when it has two levels. */
  async dataHandles(
    meta: ReadonlyMap<string, Buffer>,
    properties: TableProperties,
  ): Promise<readonly BlockHandle[]> {
    const listed = meta.get("rocksdb.index");
    const handle = listed === undefined ? this.footer.index : this.handle(listed);
    if (handle === undefined) throw damaged(this.#what, "it has no index");
    const type = properties.indexType();
    const how = { delta: properties.hasDeltaIndex(), firstKeys: type === FIRST_KEYS };
    const blocks = await this.index(handle, how);
    if (type !== TWO_LEVEL) return blocks;
    const partitions: (readonly BlockHandle[])[] = [];
    for (const partition of blocks) partitions.push(await this.index(partition, how));
    return partitions.flat();
  }

  async index(
    handle: BlockHandle,
    how: { readonly delta: boolean; readonly firstKeys: boolean },
  ): Promise<readonly BlockHandle[]> {
    return readIndex(await this.open(handle, "index"), how, `an index of ${this.#what}`);
  }

  handle(value: Buffer): BlockHandle {
    return readHandle(new Cursor(value, `the metaindex of ${this.#what}`));
  }

  /** The content of a block, decompressed; data blocks may need the table's dictionary. */
  async open(handle: BlockHandle, kind: string, dictionary?: Buffer): Promise<Buffer> {
    const block = await this.block(handle, kind);
    const type = block[handle.size] as number;
    const name = `the ${kind} of ${this.#what}`;
    const stored = block.subarray(0, handle.size);
    return inflateBlock(stored, type, this.footer.formatVersion, name, dictionary);
  }

  /** Block and trailer as they are stored, checksum proven. */
  async block(handle: BlockHandle, kind: string): Promise<Buffer> {
    await breathe();
    this.#signal.throwIfAborted();
    const { offset, size } = handle;
    const length = size + TRAILER_SIZE;
    this.#seenBytes += length;
    if (offset + length > this.footer.offset || this.#seenBytes > this.footer.offset) {
      throw damaged(this.#what, `its ${kind} at ${offset} does not fit into the file`);
    }
    const bytes = await this.#bytes(offset, length);
    const stored = bytes.readUInt32LE(size + 1);
    const { checksum, base } = this.footer;
    const computed = this.#checksumOf(checksum, bytes.subarray(0, size + 1)) + contextModifier(base, offset);
    if (checksum !== 0 && computed >>> 0 !== stored) {
      throw damaged(this.#what, `the checksum of its ${kind} at byte ${offset} is wrong`);
    }
    this.seen.push(handle);
    return bytes;
  }

  async isZero(from: number, to: number): Promise<boolean> {
    for (let at = from; at < to; at += WINDOW) {
      const bytes = await this.#table.read(at, Math.min(WINDOW, to - at));
      if (!bytes.equals(Buffer.alloc(bytes.length))) return false;
    }
    return true;
  }

  async #bytes(offset: number, length: number): Promise<Buffer> {
    let window = this.#window;
    if (
      window === undefined ||
      offset < window.offset ||
      offset + length > window.offset + window.bytes.length
    ) {
      const take = Math.min(Math.max(length, WINDOW), this.footer.offset - offset);
      window = { offset, bytes: await this.#table.read(offset, take) };
      this.#window = window;
    }
    return window.bytes.subarray(offset - window.offset, offset - window.offset + length);
  }
}

/** What a table says about itself. */
export class TableProperties {
  readonly #values: ReadonlyMap<string, Buffer>;
  readonly #what: string;

  constructor(values: ReadonlyMap<string, Buffer>, what: string) {
    this.#values = values;
    this.#what = what;
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  number(name: string): number | undefined {
    const value = this.#values.get(name);
    return value === undefined ? undefined : new Cursor(value, `property ${name} of ${this.#what}`).varint();
  }

  text(name: string): string | undefined {
    return this.#values.get(name)?.toString("utf8");
  }

  hasDeltaIndex(): boolean {
    return this.number("rocksdb.index.value.is.delta.encoded") === 1;
  }

  indexType(): number {
    const value = this.#values.get("rocksdb.block.based.table.index.type");
    return value?.length === 4 ? value.readUInt32LE() : 0;
  }
}
