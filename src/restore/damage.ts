import { wallTime } from "../policy/zone.ts";
import type { ByteRange, DamagedFile, SourceDamage } from "./report.ts";

/** Ends the name of a file that is not whole. Nothing that reads a database or a repository takes it for one of its own. */
export const DAMAGED_SUFFIX = ".drops-damaged";
const MAX_NAME = 255;

/** Whether a path looks as if it had been given by `damagedPath`. */
export function isDamagedPath(path: string): boolean {
  return path.lastIndexOf(DAMAGED_SUFFIX) > path.lastIndexOf("/");
}

/**
 * The path for what is left of a file: its own with a suffix, its name cut where the two would be longer than a file
 * system takes. `taken` are paths that are in use. Raw bytes, one character a byte.
 */
export function damagedPath(path: string, taken: ReadonlySet<string>): string {
  const slash = path.lastIndexOf("/") + 1;
  const name = path.slice(slash);
  for (let count = 1; ; count++) {
    const suffix = count === 1 ? DAMAGED_SUFFIX : `${DAMAGED_SUFFIX}-${count}`;
    const candidate = path.slice(0, slash) + name.slice(0, MAX_NAME - suffix.length) + suffix;
    if (!taken.has(candidate)) return candidate;
  }
}

/** One more chunk that is missing, behind the ones before. */
export function addRange(ranges: ByteRange[], from: number, size: number): void {
  const last = ranges.at(-1);
  if (last?.to === from) ranges[ranges.length - 1] = { from: last.from, to: from + size };
  else ranges.push({ from, to: from + size });
}

export function missingBytes(ranges: readonly ByteRange[]): number {
  return ranges.reduce((sum, { from, to }) => sum + to - from, 0);
}

/** What NAME.damaged.txt says: for a person, complete. */
export function damageInWords(
  source: string,
  snapshot: { readonly id: string; readonly zone: string },
  damage: SourceDamage,
  why: string,
): string {
  const { files, packs, index, chunksElsewhere } = damage;
  const lines = [
    `Source ${source} of snapshot ${snapshot.id} came back from a damaged repository.`,
    `What is not named here is whole, every byte authenticated: ${damage.wholeFiles} entries.`,
    `It began with: ${why}`,
    "",
    ...(index === undefined ? [] : [`Lost: ${index}`, ""]),
    ...packs.map(({ pack, problem }) => `Lost: pack ${pack} ${problem}`),
    ...(packs.length > 0 ? [""] : []),
    ...(chunksElsewhere > 0 ? [`Found in packs of other snapshots: ${chunksElsewhere} chunks`, ""] : []),
    `Not whole: ${files.length}`,
    ...files.flatMap((file) => fileInWords(file, snapshot.zone)),
  ];
  return `${lines.join("\n")}\n`;
}

function fileInWords({ path, size, missing, writtenAs, older }: DamagedFile, zone: string): string[] {
  const bytes = missingBytes(missing);
  return [
    "",
    `${path} (${size} bytes)`,
    writtenAs === undefined ? "  lost: nothing of it is left" : `  written as ${writtenAs}`,
    ...(writtenAs === undefined
      ? []
      : [`  missing: ${bytes} bytes, written as zeros:`, ...missing.map(rangeInWords)]),
    ...(older === undefined
      ? []
      : [
          `  another version: drops restore --snapshot ${older.snapshot} (ended ${wallTime(new Date(older.ended), zone)})`,
        ]),
  ];
}

function rangeInWords({ from, to }: ByteRange): string {
  return `    bytes ${from} to ${to - 1}`;
}
