import type { JournalLine } from "../journal/journal.ts";
import { DEFAULT_RATES, type Rates } from "./plan.ts";

/** Less than this tells more about beginnings than about a rate. Bytes. */
const ENOUGH = 16 * 1024 * 1024;

/** What earlier runs on the same host measured; the defaults where they brought too little. Pure. */
export function measuredRates(lines: readonly JournalLine[]): Rates {
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
    bytes += numberOf(line["bytes"]);
    seconds += numberOf(line["seconds"]);
  }
  return bytes >= ENOUGH && seconds > 0 ? bytes / seconds : undefined;
}

function numberOf(value: unknown): number {
  return typeof value === "number" && Number.isFinite(value) && value > 0 ? value : 0;
}
