import type { Cancel } from "../lib/cancel.ts";
import { wallTime } from "../policy/zone.ts";
import type { SourceRecord } from "../snapshot/record.ts";
import { type ChosenSnapshot, chooseSnapshot, type SnapshotChoice } from "./choose.ts";
import { Destination } from "./destination.ts";
import { wantedSources } from "./open-source.ts";
import type { RestoredSource } from "./report.ts";
import { type OnDamage, type RestoreParts, RestoreRun } from "./restore-run.ts";

export interface RestoreResult {
  readonly chosen: ChosenSnapshot;
  readonly to: string;
  readonly sources: RestoredSource[];
  readonly files: number;
  readonly bytes: number;
  readonly packs: number;
  /** Bytes of packs that were fetched. */
  readonly storedBytes: number;
  readonly seconds: number;
  readonly next: string[];
  readonly notes: string[];
}

/**
 * Bring a snapshot back into a new or empty directory: every source to a directory of its name, and what the capture
 * knew of it to NAME.facts.json. A source appears there only when every byte of it was authenticated and is on disk. One
 * that fails does not stop the others; it is in the result, and thrown when none succeeded.
 *
 * @param what `only`: names of sources; empty means all that the snapshot holds
 * @throws DropsError as `chooseSnapshot`; safety/refused, space/low, key/missing, key/wrong; the first failure of all
 */
export async function restoreSnapshot(
  parts: RestoreParts,
  what: {
    readonly choice: SnapshotChoice;
    readonly only: readonly string[];
    readonly to: string;
    readonly onDamage?: OnDamage;
  },
  how: Cancel,
): Promise<RestoreResult> {
  const began = parts.now().getTime();
  const onDamage = what.onDamage ?? "refuse";
  const withoutDescription = onDamage === "best-effort";
  const chosen = await chooseSnapshot({ ...parts, withoutDescription }, what.choice, how);
  const { record } = chosen.snapshot;
  parts.say(
    `restoring snapshot ${record.id} of ${chosen.policyName}, ${record.state}, ended ${wallTime(new Date(record.ended), parts.zone)}`,
  );
  const sources = wantedSources(record, what.only);
  const present = what.only.length > 0 ? sources : sources.filter(({ manifest }) => manifest);
  const notes = [...chosen.notes, ...absent(sources, present), ...incomplete(present)];

  await using host = await parts.openHost();
  await using destination = await Destination.prepare(what.to, host, parts.say);
  const run = new RestoreRun(parts, record, { to: destination, host, onDamage }, present);
  for (const source of present) await run.restore(source, how);
  const { results, failures } = run;
  const [first] = failures;
  if (first && failures.length === results.length && !results.some(({ damage }) => damage?.wholeFiles))
    throw first;
  const sum = (of: (result: RestoredSource) => number) =>
    results.reduce((total, each) => total + of(each), 0);
  return {
    chosen,
    to: destination.path,
    sources: results,
    files: sum(({ files }) => files),
    bytes: sum(({ bytes }) => bytes),
    packs: run.packs,
    storedBytes: run.storedBytes,
    seconds: (parts.now().getTime() - began) / 1000,
    next: run.next,
    notes,
  };
}

/** What sources of a snapshot lack that could not be read when it was made. */
export function incomplete(sources: readonly SourceRecord[]): string[] {
  return sources.flatMap(({ name, manifest, error }) =>
    manifest && error ? [`${name} is incomplete in this snapshot: ${error.message}`] : [],
  );
}

function absent(sources: readonly SourceRecord[], present: readonly SourceRecord[]): string[] {
  return sources
    .filter((source) => !present.includes(source))
    .map(
      ({ name, error }) =>
        `this snapshot holds nothing of ${name}: ${error?.message ?? "its capture failed"}`,
    );
}
