import { type JournalLine, numberIn } from "../journal/journal-lines.ts";

/** Bytes a second, as measured; what a plan's times are reckoned with. */
export interface RestoreRates {
  /** Bringing paths beside the live ones, opened, written and compared. */
  readonly paths: number;
  /** Loading a dump, indexes and digests included; of the dump's bytes. */
  readonly database: number;
}

/** Of a small virtual server over a link of 1 Gbit/s. Runs of the same host replace them. */
export const DEFAULT_RATES: RestoreRates = { paths: 60e6, database: 8e6 };

/** Less than this tells more about beginnings than about a rate. Bytes. */
const ENOUGH = 16 * 1024 * 1024;

/** What earlier runs on the same host measured; the defaults where they brought too little. Pure. */
export function measuredRates(lines: readonly JournalLine[]): RestoreRates {
  return {
    paths: rateOf(lines, "paths") ?? DEFAULT_RATES.paths,
    database: rateOf(lines, "database") ?? DEFAULT_RATES.database,
  };
}

function rateOf(lines: readonly JournalLine[], kind: string): number | undefined {
  let bytes = 0;
  let seconds = 0;
  for (const line of lines) {
    if (line.event !== "staged" || line["kind"] !== kind) continue;
    bytes += numberIn(line["bytes"]);
    seconds += numberIn(line["seconds"]);
  }
  return bytes >= ENOUGH && seconds > 0 ? bytes / seconds : undefined;
}
