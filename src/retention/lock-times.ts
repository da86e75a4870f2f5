import type { Lock, LockMode } from "../store/blob-store.ts";
import { forecast } from "./forecast.ts";
import { type Dated, type KeepRules, keep } from "./keep.ts";
import type { Calendar } from "./periods.ts";

/** How a policy wants objects locked. Milliseconds. */
export interface LockRules {
  readonly mode: LockMode;
  /** For how long an object stays locked after the plan has let it go. */
  readonly margin: number;
  /** No lock reaches further than this from the time at which it is set. */
  readonly max: number;
}

/** What a backup locks as it puts it. */
export interface NewLocks {
  /** Of what the snapshot needs. */
  readonly snapshot: Lock;
  /** Of checkpoints and what only they refer to. */
  readonly passing: Lock;
}

/**
 * A snapshot that is made at `at` is locked until the rules will let it go, and `margin` longer.
 *
 * @param earlier those that fill slots, oldest first
 */
export function locksOfNew(
  earlier: readonly Dated[],
  at: Date,
  how: { readonly rules: KeepRules; readonly calendar: Calendar; readonly lock: LockRules },
): NewLocks {
  const { rules, calendar, lock } = how;
  const made = { id: "", at }; // no snapshot has that id
  const all = [...earlier.filter((one) => one.at < at), made];
  const kept = keep(all, rules, calendar);
  const goes = forecast(
    all.filter(({ id }) => kept.has(id)),
    rules,
    calendar,
  ).get(made.id);
  return {
    snapshot: lockUntil(goes, at, lock),
    passing: lockUntil(at, at, lock),
  };
}

/**
 * Until when what a kept snapshot needs is to be locked. `goes`: until then it is kept, as far as that is known today;
 * undefined: for longer than anybody foresees.
 */
export function lockUntil(goes: Date | undefined, now: Date, { mode, margin, max }: LockRules): Lock {
  const furthest = now.getTime() + max;
  const wanted = goes === undefined ? furthest : goes.getTime() + margin;
  return { mode, until: new Date(Math.floor(Math.min(wanted, furthest) / 1000) * 1000) };
}

/** For sentences: `in governance mode until …`. */
export function lockInWords(lock: Lock | undefined): string {
  return lock ? `in ${lock.mode} mode until ${lock.until.toISOString()}` : "not at all";
}
