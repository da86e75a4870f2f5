import type { Cancel } from "../../../lib/cancel.ts";
import { CHECKSUM_NAMES } from "../formats/block-checksum.ts";
import { damaged, TRAILER_SIZE } from "../formats/table-footer.ts";
import { type TableBytes, type TableProperties, TableReader } from "../formats/table-reader.ts";

export interface TableReport {
  readonly formatVersion: number;
  readonly checksum: (typeof CHECKSUM_NAMES)[number];
  readonly blocks: number;
  readonly dataBlocks: number;
  readonly entries: number | undefined;
  readonly columnFamily: string | undefined;
}

/**
 * Checks every block of a block-based table against its checksum, and that the blocks fill the file: nothing is
 * skipped because an index forgot it. Values are not decompressed: checksums are over what is stored.
 * Throws data/damaged, or format/unsupported for what is newer than this reader.
 */
export async function checkTable(table: TableBytes, what: string, how: Cancel): Promise<TableReport> {
  const reader = await TableReader.open(table, what, how);
  const meta = await reader.metaindex();
  const properties = await reader.properties(meta);
  const data = await reader.dataHandles(meta, properties);
  for (const block of data) await reader.block(block, "data block");
  await readMeta(reader, meta, properties);
  await checkTiling(reader, what);
  const expected = properties.number("rocksdb.num.data.blocks");
  if (expected !== undefined && expected !== data.length) {
    throw damaged(what, `its index has ${data.length} data blocks instead of ${expected}`);
  }
  return {
    formatVersion: reader.footer.formatVersion,
    checksum: CHECKSUM_NAMES[reader.footer.checksum] ?? "none",
    blocks: reader.seen.length,
    dataBlocks: data.length,
    entries: properties.number("rocksdb.num.entries"),
    columnFamily: properties.text("rocksdb.column.family.name"),
  };
}

/** Filters, dictionaries, range deletions: whatever else the metaindex names. */
async function readMeta(
  reader: TableReader,
  meta: ReadonlyMap<string, Buffer>,
  properties: TableProperties,
): Promise<void> {
  const delta = properties.hasDeltaIndex();
  for (const [name, value] of meta) {
    if (name === "rocksdb.properties" || name === "rocksdb.index") continue;
    const handle = reader.handle(value);
    if (!name.startsWith("partitionedfilter.")) await reader.block(handle, name);
    else {
      const partitions = await reader.index(handle, { delta, firstKeys: false });
      for (const partition of partitions) await reader.block(partition, "filter partition");
    }
  }
}

/** Blocks lie side by side; aligned ones leave zeros between them. */
async function checkTiling(reader: TableReader, what: string): Promise<void> {
  const order = reader.seen.toSorted((a, b) => a.offset - b.offset);
  let at = 0;
  for (const { offset, size } of [...order, { offset: reader.footer.offset, size: 0 }]) {
    if (offset < at) throw damaged(what, `blocks overlap at byte ${offset}`);
    if (offset > at && !(await reader.isZero(at, offset))) {
      throw damaged(what, `no index knows the bytes from ${at} to ${offset}`);
    }
    at = offset + size + TRAILER_SIZE;
  }
}
