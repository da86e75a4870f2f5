import { DropsError } from "../../../lib/errors.ts";

/** The number in a file name such as 000123.log. Throws source/failed for a name that has none, or one that no database reaches. */
export function fileNumber(name: string): number {
  const number = Number.parseInt(name, 10);
  if (Number.isSafeInteger(number)) return number;
  throw new DropsError(
    "source/failed",
    `${name.slice(0, 80)} is not the name of a RocksDB file: it has no file number`,
  );
}

/** File names pad the number to six digits (file/filename.cc). */
export function tableName(number: number, kind: "sst" | "blob" | "log"): string {
  return `${String(number).padStart(6, "0")}.${kind}`;
}

/** The write-ahead logs among these names, from old to new. */
export function logNames(names: Iterable<string>): readonly string[] {
  return [...names].filter((name) => name.endsWith(".log")).sort((a, b) => fileNumber(a) - fileNumber(b));
}

/** The newest OPTIONS file among these names. */
export function newestOptions(names: Iterable<string>): string | undefined {
  const [newest] = [...names]
    .filter((name) => /^OPTIONS-\d+$/.test(name))
    .sort((a, b) => Number(b.slice(8)) - Number(a.slice(8)));
  return newest;
}
