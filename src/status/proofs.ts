import { ageSeconds } from "../lib/units.ts";
import { rough } from "../lib/words.ts";
import type { Proofs } from "../snapshot/finding.ts";
import type { Facts } from "./report.ts";
import type { Seen } from "./seen.ts";

/** What was tried longer ago may have been changed since; doctor is run four times a year at least. Seconds. */
const COUNTS_FOR = 100 * 86_400;

const UNLESS =
  "take it that whoever holds the backup host's credentials can delete every snapshot, unless the store refuses deletes or locks objects";

/** Who can destroy the backups: as doctor last found it out, with the very credential that makes them. */
export function destroyOf({ proofs, now }: Pick<Seen, "proofs" | "now">): Facts["destroy"] {
  const { destroy } = proofs;
  if (!destroy) return { proven: false, answer: "not proven", why: `not proven: ${UNLESS}` };
  const { answer, at, found } = destroy;
  const age = ageSeconds(at, now);
  const said = found.join("; ");
  if (age > COUNTS_FOR) {
    const why = `not proven: ${rough(age)} ago it was "${answer}", too long ago to count; ${UNLESS}`;
    return { proven: false, answer: "not proven", why, at };
  }
  const who =
    answer === "yes"
      ? "YES: this backup host can destroy every snapshot"
      : "no: this backup host cannot destroy what is stored";
  return { proven: true, answer, why: `${who} (tried ${rough(age)} ago: ${said})`, at };
}

/** When the recovery identity from the safe last opened a backup. */
export function recoveryOf({ proofs, now }: Pick<Seen, "proofs" | "now">): Facts["recoveryKey"] {
  const { recovery } = proofs;
  if (!recovery) {
    return {
      proven: false,
      why: "not proven: drops has not seen the one in the safe, and its loss would not be noticed",
    };
  }
  const { at, snapshot, recipients } = recovery;
  const age = ageSeconds(at, now);
  const one = recipients.length === 1 ? "it" : `${recipients.length} of them`;
  return { proven: true, at, why: `${one} opened snapshot ${snapshot}, ${rough(age)} ago` };
}

/** What was found and is not believed. */
export function proofNotes({ refused }: Proofs): string[] {
  const [newest] = refused;
  return newest === undefined ? [] : [`not trusted: ${newest}`];
}
