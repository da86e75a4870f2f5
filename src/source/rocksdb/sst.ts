import type { Cancel } from "../../lib/cancel.ts";
import { blockChecksum, CHECKSUM_NAMES, contextModifier } from "./block-checksum.ts";
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

export interface TableReport {
  readonly formatVersion: number;
  readonly checksum: (typeof CHECKSUM_NAMES)[number];
  readonly blocks: number;
  readonly dataBlocks: number;
  readonly entries: number | undefined;
  readonly columnFamily: string | undefined;
}

const WINDOW = 1024 * 1024;
const TWO_LEVEL = 2;
const FIRST_KEYS = 3;

/**
 * Checks every block of a block-based table against its checksum, and that the blocks fill the file: nothing is
 * skipped because an index forgot it. Values are not decompressed: checksums are over what is stored.
 * Throws data/damaged, or format/unsupported for what is newer than this reader.
 */
export async function checkTable(table: TableBytes, what: string, how: Cancel): Promise<TableReport> {
  const end = Math.min(table.size, FOOTER_SIZE);
  const footer = parseFooter(await table.read(table.size - end, end), table.size, what);
  return new TableCheck(table, footer, what, how).run();
}

class TableCheck {
  readonly #table: TableBytes;
  readonly #footer: TableFooter;
  readonly #what: string;
  readonly #signal: AbortSignal;
  readonly #seen: BlockHandle[] = [];
  #seenBytes = 0;
  #window: { readonly offset: number; readonly bytes: Buffer } | undefined;

  constructor(table: TableBytes, footer: TableFooter, what: string, how: Cancel) {
    this.#table = table;
    this.#footer = footer;
    this.#what = what;
    this.#signal = how.signal;
  }

  async run(): Promise<TableReport> {
    const meta = readEntries(
      await this.#open(this.#footer.metaindex, "metaindex"),
      `the metaindex of ${this.#what}`,
    );
    const properties = await this.#properties(meta);
    const dataBlocks = await this.#walkIndex(meta, properties);
    await this.#walkMeta(meta, properties);
    await this.#checkTiling();
    const expected = properties.number("rocksdb.num.data.blocks");
    if (expected !== undefined && expected !== dataBlocks) {
      throw damaged(this.#what, `its index has ${dataBlocks} data blocks instead of ${expected}`);
    }
    return {
      formatVersion: this.#footer.formatVersion,
      checksum: CHECKSUM_NAMES[this.#footer.checksum] ?? "none",
      blocks: this.#seen.length,
      dataBlocks,
      entries: properties.number("rocksdb.num.entries"),
      columnFamily: properties.text("rocksdb.column.family.name"),
    };
  }

  async #properties(meta: ReadonlyMap<string, Buffer>): Promise<Properties> {
    const value = meta.get("rocksdb.properties");
    if (value === undefined) return new Properties(new Map(), this.#what);
    const block = await this.#open(this.#handle(value), "properties");
    return new Properties(readEntries(block, `the properties of ${this.#what}`), this.#what);
  }

  /** Index, its partitions when it has two levels, then every data block in order. */
  async #walkIndex(meta: ReadonlyMap<string, Buffer>, properties: Properties): Promise<number> {
    const listed = meta.get("rocksdb.index");
    const handle = listed === undefined ? this.#footer.index : this.#handle(listed);
    if (handle === undefined) throw damaged(this.#what, "it has no index");
    const delta = properties.number("rocksdb.index.value.is.delta.encoded") === 1;
    const type = properties.indexType();
    const how = { delta, firstKeys: type === FIRST_KEYS };
    let blocks = await this.#index(handle, how);
    if (type === TWO_LEVEL) {
      const partitions: (readonly BlockHandle[])[] = [];
      for (const partition of blocks) partitions.push(await this.#index(partition, how));
      blocks = partitions.flat();
    }
    for (const block of blocks) await this.#block(block, "data block");
    return blocks.length;
  }

  /** Filters, dictionaries, range deletions: whatever else the metaindex names. */
  async #walkMeta(meta: ReadonlyMap<string, Buffer>, properties: Properties): Promise<void> {
    const delta = properties.number("rocksdb.index.value.is.delta.encoded") === 1;
    for (const [name, value] of meta) {
      if (name === "rocksdb.properties" || name === "rocksdb.index") continue;
      const handle = this.#handle(value);
      if (!name.startsWith("partitionedfilter.")) await this.#block(handle, name);
      else {
        const partitions = await this.#index(handle, { delta, firstKeys: false });
        for (const partition of partitions) await this.#block(partition, "filter partition");
      }
    }
  }

  async #index(
    handle: BlockHandle,
    how: { delta: boolean; firstKeys: boolean },
  ): Promise<readonly BlockHandle[]> {
    return readIndex(await this.#open(handle, "index"), how, `an index of ${this.#what}`);
  }

  #handle(value: Buffer): BlockHandle {
    return readHandle(new Cursor(value, `the metaindex of ${this.#what}`));
  }

  async #open(handle: BlockHandle, kind: string): Promise<Buffer> {
    const block = await this.#block(handle, kind);
    const type = block[handle.size] as number;
    const name = `the ${kind} of ${this.#what}`;
    return inflateBlock(block.subarray(0, handle.size), type, this.#footer.formatVersion, name);
  }

  /** Block and trailer, checksum proven. */
  async #block(handle: BlockHandle, kind: string): Promise<Buffer> {
    this.#signal.throwIfAborted();
    const { offset, size } = handle;
    const length = size + TRAILER_SIZE;
    this.#seenBytes += length;
    if (offset + length > this.#footer.offset || this.#seenBytes > this.#footer.offset) {
      throw damaged(this.#what, `its ${kind} at ${offset} does not fit into the file`);
    }
    const bytes = await this.#bytes(offset, length);
    const stored = bytes.readUInt32LE(size + 1);
    const { checksum, base } = this.#footer;
    const computed = blockChecksum(checksum, bytes.subarray(0, size + 1)) + contextModifier(base, offset);
    if (checksum !== 0 && computed >>> 0 !== stored) {
      throw damaged(this.#what, `the checksum of its ${kind} at byte ${offset} is wrong`);
    }
    this.#seen.push(handle);
    return bytes;
  }

  async #bytes(offset: number, length: number): Promise<Buffer> {
    let window = this.#window;
    if (
      window === undefined ||
      offset < window.offset ||
      offset + length > window.offset + window.bytes.length
    ) {
      const take = Math.min(Math.max(length, WINDOW), this.#footer.offset - offset);
      window = { offset, bytes: await this.#table.read(offset, take) };
      this.#window = window;
    }
    return window.bytes.subarray(offset - window.offset, offset - window.offset + length);
  }

  /** Blocks lie side by side; aligned ones leave zeros between them. */
  async #checkTiling(): Promise<void> {
    const order = this.#seen.toSorted((a, b) => a.offset - b.offset);
    let at = 0;
    for (const { offset, size } of [...order, { offset: this.#footer.offset, size: 0 }]) {
      if (offset < at) throw damaged(this.#what, `blocks overlap at byte ${offset}`);
      if (offset > at && !(await this.#isZero(at, offset))) {
        throw damaged(this.#what, `no index knows the bytes from ${at} to ${offset}`);
      }
      at = offset + size + TRAILER_SIZE;
    }
  }

  async #isZero(from: number, to: number): Promise<boolean> {
    for (let at = from; at < to; at += WINDOW) {
      const bytes = await this.#table.read(at, Math.min(WINDOW, to - at));
      if (!bytes.equals(Buffer.alloc(bytes.length))) return false;
    }
    return true;
  }
}

class Properties {
  readonly #values: ReadonlyMap<string, Buffer>;
  readonly #what: string;

  constructor(values: ReadonlyMap<string, Buffer>, what: string) {
    this.#values = values;
    this.#what = what;
  }

  number(name: string): number | undefined {
    const value = this.#values.get(name);
    return value === undefined ? undefined : new Cursor(value, `property ${name} of ${this.#what}`).varint();
  }

  text(name: string): string | undefined {
    return this.#values.get(name)?.toString("utf8");
  }

  indexType(): number {
    const value = this.#values.get("rocksdb.block.based.table.index.type");
    return value?.length === 4 ? value.readUInt32LE() : 0;
  }
}
