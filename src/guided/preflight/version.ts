import { type CheckResult, checked, passed } from "../run/check.ts";

/** What is known of a homeserver's version: of the day of the snapshot, and of the host now. */
interface Known {
  /** On the day of the snapshot. */
  readonly was: string | undefined;
  /** On the host now. */
  readonly is: string | undefined;
}

export interface VersionFacts {
  readonly source: string;
  readonly rocksdb: Known;
  readonly nixosVersion: Known;
  readonly nixosSystem: Known;
}

/**
 * Whether the host's homeserver can be expected to read the database. There is no downgrade: a newer one changes the database for
 * good. Compares what can be compared, and says plainly when nothing can. Pure.
 */
export function checkVersion({ source, rocksdb, nixosVersion, nixosSystem }: VersionFacts): CheckResult {
  const name = `homeserver of ${source} is not older than its database`;
  const hint =
    "deploy the revision that is recorded in the snapshot (drops restore --only bootstrap writes its bundle), or a newer one; an older homeserver refuses this database";
  if (nixosSystem.was !== undefined && nixosSystem.was === nixosSystem.is)
    return passed(name, `the same NixOS system as on the day of the snapshot: ${nixosSystem.is}`);
  const compared = [
    compare("RocksDB", rocksdb.was, rocksdb.is),
    compare("NixOS", releaseOf(nixosVersion.was), releaseOf(nixosVersion.is)),
  ].filter((each) => each !== undefined);
  const found = compared.map(({ words }) => words).join("; ");
  if (compared.length > 0) return checked(!compared.some(({ isOlder }) => isOlder), name, found, hint);
  const written = rocksdb.was === undefined ? "an unknown version" : `RocksDB ${rocksdb.was}`;
  return passed(
    name,
    `NOT COMPARED: the database was written by ${written}, and nothing on the host says what its homeserver is; if that is older, it refuses to start, and the old data can be put back`,
  );
}

/** `25.05.20250430.abcdef` without what has no order. */
function releaseOf(version: string | undefined): string | undefined {
  return version === undefined ? undefined : (/^\d+(\.\d+)*/.exec(version)?.[0] ?? undefined);
}

function compare(
  what: string,
  was: string | undefined,
  is: string | undefined,
): { readonly words: string; readonly isOlder: boolean } | undefined {
  if (numbersOf(was) === undefined || numbersOf(is) === undefined) return undefined;
  return {
    words: `${what} ${is} on the host, ${was} on the day of the snapshot`,
    isOlder: isOlder(was, is),
  };
}

/** Whether `is` comes before `was`; false when one of them is no version of numbers and dots. */
export function isOlder(was: string | undefined, is: string | undefined): boolean {
  const [before, after] = [numbersOf(was), numbersOf(is)];
  if (before === undefined || after === undefined) return false;
  const at = before.findIndex((number, index) => number !== (after[index] ?? 0));
  return at >= 0 && (after[at] ?? 0) < (before[at] ?? 0);
}

function numbersOf(version: string | undefined): readonly number[] | undefined {
  if (version === undefined || !/^\d{1,9}(\.\d{1,9}){0,5}$/.test(version)) return undefined;
  return version.split(".").map(Number);
}
