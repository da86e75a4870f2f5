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
