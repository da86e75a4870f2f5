import type { Cancel } from "../lib/cancel.ts";
import { ageSeconds } from "../lib/units.ts";
import type { SnapshotRecord } from "../snapshot/record.ts";
import { type CheckBook, type CheckFinding, failed } from "./checks.ts";
import type { Objectives } from "./report.ts";

/** The age of the recovery point: that of the source that was captured first. */
export async function checkAge(
  book: CheckBook,
  what: {
    readonly record: SnapshotRecord;
    readonly later: number;
    readonly at: Date;
    readonly rpoMs: number | undefined;
  },
  how: Cancel,
): Promise<Objectives> {
  const title = "recovery point objective";
  if (what.later > 0) {
    book.skip(title, "an older snapshot was drilled");
    return {};
  }
  const points = what.record.sources.flatMap(({ captured_at }) =>
    captured_at === undefined ? [] : [captured_at],
  );
  const point = [...points, what.record.ended].sort()[0] ?? what.record.ended;
  const age = ageSeconds(point, what.at);
  if (what.rpoMs === undefined) {
    book.skip(title, "no policy says what it is");
    return { ageSeconds: age };
  }
  const rpoSeconds = what.rpoMs / 1000;
  const work = async (): Promise<CheckFinding | string> => {
    const found = `${whole(age)} s old, ${rpoSeconds} s are allowed`;
    return age <= rpoSeconds ? found : failed(found, "look at the last backup: drops snapshots");
  };
  await book.run({ id: "rpo", name: "the newest snapshot is young enough (RPO)" }, work, how);
  return { ageSeconds: age, rpoSeconds };
}

/** How long it took until everything was there, as far as a drill can tell: into a scratch place, on this machine. */
export async function checkTime(
  book: CheckBook,
  what: { readonly restoreSeconds: number; readonly loadSeconds: number; readonly rtoMs: number | undefined },
  how: Cancel,
): Promise<Objectives> {
  const { restoreSeconds, loadSeconds } = what;
  if (what.rtoMs === undefined) {
    book.skip("recovery time objective", "no policy says what it is");
    return { restoreSeconds, loadSeconds };
  }
  const rtoSeconds = what.rtoMs / 1000;
  const took = restoreSeconds + loadSeconds;
  const work = async (): Promise<CheckFinding | string> => {
    const found = `${tenth(took)} s (restore ${tenth(restoreSeconds)} s, load ${tenth(loadSeconds)} s), ${rtoSeconds} s are allowed`;
    return took <= rtoSeconds ? found : failed(found, "a faster link or machine, or an rto that is true");
  };
  await book.run({ id: "rto", name: "restoring takes no longer than it may (RTO)" }, work, how);
  return { restoreSeconds, loadSeconds, rtoSeconds };
}

function whole(seconds: number): string {
  return String(Math.round(seconds));
}

function tenth(seconds: number): string {
  return seconds.toFixed(1);
}
