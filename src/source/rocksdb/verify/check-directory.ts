import { open, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Cancel } from "../../../lib/cancel.ts";
import { DropsError } from "../../../lib/errors.ts";
import { fileNumber, logNames, newestOptions } from "../formats/file-names.ts";
import { parseOptions } from "../formats/options-file.ts";
import { type Accepted, FreezeJudge, Rejection } from "./accept.ts";
import { type DatabaseFiles, localDatabase } from "./database-files.ts";
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
  const files = localDatabase(directory);
  const sizes = await files.list(how);
  const manifest = (await readCurrent(directory)).trim();
  if (!/^MANIFEST-\d+$/.test(manifest) || !sizes.has(manifest)) {
    throw new DropsError("data/missing", `CURRENT in ${directory} names a MANIFEST that does not exist`);
  }
  const newest = newestOptions(sizes.keys());
  const options =
    newest === undefined ? undefined : parseOptions(await readFile(join(directory, newest), "utf8"));
  const judge = new FreezeJudge({
    manifest,
    firstLogs: logNames(sizes.keys()).map(fileNumber),
    sizes,
    recyclesLogs: false,
    chained: !(options?.twoPhaseCommit ?? false),
  });
  const { live, sequence, wals, keep } = await judgeFiles(judge, files, { directory, manifest }, how);
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
  files: DatabaseFiles,
  { directory, manifest }: { readonly directory: string; readonly manifest: string },
  how: Cancel,
): Promise<Accepted> {
  try {
    for await (const chunk of files.read(manifest, how)) judge.manifest(chunk);
    for (const name of judge.manifestEnd().wanted) {
      const wal = judge.wal(name);
      for await (const chunk of files.read(name, how)) wal.push(chunk);
      wal.end();
    }
    return judge.verdict();
  } catch (error) {
    if (!(error instanceof Rejection)) throw error;
    throw new DropsError("data/damaged", `${directory} is not a consistent database: ${error.message}`);
  }
}

/** Check one table file on this machine, see checkTable. */
async function checkTableFile(path: string, name: string, how: Cancel): ReturnType<typeof checkTable> {
  await using file = await open(path, "r");
  const { size } = await file.stat();
  const read = async (offset: number, length: number) => {
    const bytes = Buffer.allocUnsafe(length);
    const { bytesRead } = await file.read(bytes, 0, length, offset);
    if (bytesRead !== length)
      throw new DropsError("data/damaged", `${name} ends before byte ${offset + length}`);
    return bytes;
  };
  return await checkTable({ size, read }, name, how);
}

async function readCurrent(directory: string): Promise<string> {
  try {
    return await readFile(join(directory, "CURRENT"), "utf8");
  } catch (cause) {
    throw new DropsError("data/missing", `${directory} has no CURRENT file`, { cause });
  }
}
