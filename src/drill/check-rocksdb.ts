import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import * as z from "zod";
import type { CommandResult } from "../host/host.ts";
import { ANY_EXIT } from "../host/run-to-end.ts";
import type { Cancel } from "../lib/cancel.ts";
import { checkRocksdbDirectory, type DirectoryReport } from "../source/rocksdb/verify/check-directory.ts";
import { type CheckFinding, couldNotRun, failed } from "./checks.ts";
import type { DrillContext, DrilledSource } from "./drill-context.ts";

const LIBRARY = "@nxtedition/rocksdb";
const MOST_OUTPUT = 64 * 1024;
const OWN_READERS = "drops' own readers checked every block";

/**
 * What RocksDB says of blocks in a compression that it was built without, up to 6.x too. drops' readers have
 * decompressed every block by then, so it is never damage.
 */
const BUILT_WITHOUT =
  /Not implemented: |Compression type \w+ is not linked with the binary|not supported or corrupted \w+ compressed block/;

const Told = z.object({ families: z.int(), keys: z.int(), bytes: z.int(), sequence: z.string() });

/** Every file of the database, and every block of every table, by drops' own readers. */
export async function checkRocksdb(
  { book }: DrillContext,
  { name, directory }: DrilledSource,
  how: Cancel,
): Promise<DirectoryReport | undefined> {
  let report: DirectoryReport | undefined;
  const title = { id: `${name}/blocks`, source: name, name: "one state of the database, every block whole" };
  const work = async () => {
    report = await checkRocksdbDirectory(directory, { ...how, tables: true });
    const { sequence, tables, logs, columnFamilies } = report;
    return `sequence ${sequence}; ${columnFamilies.length} column families, ${tables} tables, ${logs} logs`;
  };
  await book.run(title, work, how);
  return report;
}

/** Whether the real library is installed beside drops. */
export function hasLibrary(from: string = import.meta.url): boolean {
  try {
    createRequire(from).resolve(LIBRARY);
    return true;
  } catch {
    return false;
  }
}

/**
 * Opened with the real library, every key read, where it is installed. The directory must have been handed over to the
 * sandbox, and is another one afterwards.
 */
export async function openWithLibrary(
  { book, sandbox, node, requireLibrary, libraryFrom = import.meta.url }: DrillContext,
  { name, directory }: DrilledSource,
  report: DirectoryReport | undefined,
  how: Cancel,
): Promise<void> {
  const title = {
    id: `${name}/library`,
    source: name,
    name: "the real RocksDB library opens it and reads every key",
  };
  if (!hasLibrary(libraryFrom)) {
    const found = `the library ${LIBRARY} is not installed here`;
    const work = async () => couldNotRun(found, `npm install ${LIBRARY}, beside drops`);
    if (requireLibrary) await book.run(title, work, how);
    else book.skip(`${name}: ${title.name}`, `${found}; ${OWN_READERS}`);
    return;
  }
  if (!report) return book.skip(`${name}: ${title.name}`, "its files are not those of one whole database");
  let builtWithout = false;
  const work = async (): Promise<CheckFinding | string> => {
    const program = fileURLToPath(new URL(programFile(), import.meta.url));
    const argv = [node, program, directory, JSON.stringify(report.columnFamilies), libraryFrom];
    const ran = await sandbox.run(argv, { ...how, okExits: ANY_EXIT, maxStdout: MOST_OUTPUT });
    if (ran.exit !== 0) {
      builtWithout = BUILT_WITHOUT.test(ran.stderr);
      return unopened(ran, sandbox.user.name, builtWithout);
    }
    const told = Told.parse(JSON.parse(ran.stdout.toString()));
    if (BigInt(told.sequence) < BigInt(report.sequence)) {
      return failed(`it opens at write ${told.sequence}, before the captured ${report.sequence}`);
    }
    return `${told.keys} keys in ${told.families} column families, at write ${told.sequence}`;
  };
  const check = await book.run(title, work, how);
  if (builtWithout && !requireLibrary) book.doWithout(check, OWN_READERS);
}

function programFile(): string {
  return import.meta.url.endsWith(".ts") ? "./rocksdb-library.ts" : "./rocksdb-library.js";
}

/** Told apart: the library refused the database, cannot read its compression, or could not even be started. */
function unopened(
  { exit, signal, stderr }: CommandResult,
  user: string,
  builtWithout: boolean,
): CheckFinding {
  const why = (stderr.trim().split("\n").at(-1) ?? "").slice(0, 500);
  if (builtWithout)
    return couldNotRun(`this build of ${LIBRARY} cannot read it: ${why}`, "drill without --require-library");
  if (
    exit === 126 ||
    exit === 127 ||
    /EACCES|permission denied|MODULE_NOT_FOUND|Cannot find module/i.test(stderr)
  ) {
    return couldNotRun(
      `${user} cannot run it: ${why}`,
      "install drops where every user may read it, or --user NAME",
    );
  }
  return failed(exit === undefined ? `it was ended by ${signal ?? "a signal"}: ${why}` : why);
}
