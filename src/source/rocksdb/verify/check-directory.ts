import { createReadStream } from "node:fs";
import { open, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Cancel } from "../../../lib/cancel.ts";
import { DropsError } from "../../../lib/errors.ts";
import { parseOptions } from "../formats/options-file.ts";
import { type Accepted, FreezeJudge, Rejection } from "./accept.ts";
import { checkTable } from "./sst.ts";

export interface DirectoryReport {
  readonly sequence: string;
  readonly columnFamilies: readonly string[];
  readonly tables: number;
  readonly logs: number;
  /** How many checked tables have which format; empty when tables were not checked. */
  readonly formatVersions: Readonly<Record<string, number>>;
}

/**
 * Check a database directory on this machine that nobody writes to, as a restore leaves it: CURRENT, MANIFEST, every
 * file with its size, logs whole and in one chain, and with `tables` every block of every table.
 * Throws data/damaged or data/missing.
 */
export async function checkRocksdbDirectory(
  directory: string,
  how: Cancel & { readonly tables: boolean; readonly onTable?: (name: string) => void },
): Promise<DirectoryReport> {
  const sizes = await sizesIn(directory);
  const manifest = (await readCurrent(directory)).trim();
  if (!/^MANIFEST-\d+$/.test(manifest) || !sizes.has(manifest)) {
    throw new DropsError("data/missing", `CURRENT in ${directory} names a MANIFEST that is not there`);
  }
  const options = await newestOptions(directory, sizes);
  const logs = [...sizes.keys()].filter((name) => name.endsWith(".log"));
  const judge = new FreezeJudge({
    manifest,
    firstLogs: logs.map((name) => Number.parseInt(name, 10)),
    sizes,
    recyclesLogs: false,
    chained: !(options?.twoPhaseCommit ?? false),
  });
  const { live, sequence, wals, keep } = await judgeFiles(judge, directory, manifest, how);
  const tables = how.tables ? [...keep.keys()].filter((name) => name.endsWith(".sst")) : [];
  const formatVersions: Record<string, number> = {};
  for (const name of tables) {
    const { formatVersion } = await checkTableFile(join(directory, name), name, how);
    formatVersions[formatVersion] = (formatVersions[formatVersion] ?? 0) + 1;
    how.onTable?.(name);
  }
  return {
    sequence: String(sequence),
    columnFamilies: live.families,
    tables: live.tables.length,
    logs: wals.length,
    formatVersions,
  };
}

async function judgeFiles(
  judge: FreezeJudge,
  directory: string,
  manifest: string,
  how: Cancel,
): Promise<Accepted> {
  try {
    for await (const chunk of bytesOf(join(directory, manifest), how)) judge.manifest(chunk);
    for (const name of judge.manifestEnd().wanted) {
      const wal = judge.wal(name);
      for await (const chunk of bytesOf(join(directory, name), how)) wal.push(chunk);
      wal.end();
    }
    return judge.verdict();
  } catch (error) {
    if (!(error instanceof Rejection)) throw error;
    throw new DropsError("data/damaged", `${directory} is not one state of a database: ${error.message}`);
  }
}

/** Check one table file on this machine, see checkTable. */
export async function checkTableFile(path: string, name: string, how: Cancel): ReturnType<typeof checkTable> {
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    const read = async (offset: number, length: number) => {
      const bytes = Buffer.allocUnsafe(length);
      const { bytesRead } = await file.read(bytes, 0, length, offset);
      if (bytesRead !== length)
        throw new DropsError("data/damaged", `${name} ends before byte ${offset + length}`);
      return bytes;
    };
    return await checkTable({ size, read }, name, how);
  } finally {
    await file.close();
  }
}

async function sizesIn(directory: string): Promise<ReadonlyMap<string, number>> {
  const sizes = new Map<string, number>();
  for (const item of await readdir(directory, { withFileTypes: true })) {
    if (item.isFile()) sizes.set(item.name, (await stat(join(directory, item.name))).size);
  }
  return sizes;
}

async function readCurrent(directory: string): Promise<string> {
  try {
    return await readFile(join(directory, "CURRENT"), "utf8");
  } catch (cause) {
    throw new DropsError("data/missing", `${directory} holds no CURRENT`, { cause });
  }
}

async function newestOptions(directory: string, sizes: ReadonlyMap<string, number>) {
  const names = [...sizes.keys()].filter((name) => /^OPTIONS-\d+$/.test(name));
  const newest = names.sort((a, b) => Number(b.slice(8)) - Number(a.slice(8)))[0];
  return newest === undefined ? undefined : parseOptions(await readFile(join(directory, newest), "utf8"));
}

function bytesOf(path: string, how: Cancel): AsyncIterable<Buffer> {
  return createReadStream(path, { highWaterMark: 1024 * 1024, signal: how.signal });
}
