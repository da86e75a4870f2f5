import { type Calendar, PERIODS, type Period } from "./periods.ts";

/** How many restore points of each kind are kept; see docs/retention.md. */
export interface KeepRules {
  /**
   * `sequential`: a snapshot that a finer rule keeps takes no slot of a coarser one, so 7/4/12 are 23 restore points.
   * `independent`: one snapshot may take a slot of every rule.
   */
  readonly rules: "sequential" | "independent";
  /** The newest so many, whatever their dates. */
  readonly last: number;
  readonly daily: number;
  readonly weekly: number;
  readonly monthly: number;
  readonly yearly: number;
}

export type Rule = "last" | Period;

/** Why a snapshot is kept. */
export interface Slot {
  readonly rule: Rule;
  /** From 1, the newest. */
  readonly number: number;
  /** How many the rule keeps. */
  readonly of: number;
  /** `2026-W47`; of `last`: the time of the snapshot. */
  readonly period: string;
  /** Kept only because nothing older is there and the rule is not full yet. */
  readonly oldest: boolean;
}

export interface Dated {
  readonly id: string;
  readonly at: Date;
}

export const RULES: readonly Rule[] = ["last", ...PERIODS];

/**
 * Which of these snapshots the rules keep, and why: id to slots, never an empty list; what is not in it may go.
 *
 * `independent` is restic's forget (0.16 and later), `sequential` borg's prune (1.2 and later), both over periods of one
 * fixed zone. Newest first, each rule keeps the newest snapshot of each period until it is full; periods without a
 * snapshot do not count; a rule that is not full keeps the oldest snapshot as well. Of two with the same time the one
 * that stands later in `snapshots` is the newer.
 *
 * @param snapshots those that count, oldest first
 */
export function keep(
  snapshots: readonly Dated[],
  rules: KeepRules,
  calendar: Calendar,
): ReadonlyMap<string, readonly Slot[]> {
  const newestFirst = snapshots
    .map((snapshot, at) => ({ ...snapshot, order: at }))
    .sort((a, b) => b.at.getTime() - a.at.getTime() || b.order - a.order);
  const kept = new Map<string, Slot[]>();
  for (const rule of RULES) applyRule(rule, newestFirst, rules, calendar, kept);
  return kept;
}

function applyRule(
  rule: Rule,
  newestFirst: readonly Dated[],
  rules: KeepRules,
  calendar: Calendar,
  kept: Map<string, Slot[]>,
): void {
  const of = rules[rule];
  let number = 0;
  for (const { id, period, oldest } of candidates(rule, newestFirst, calendar)) {
    if (number === of) return;
    const before = kept.get(id) ?? [];
    if (rules.rules === "sequential" && before.length > 0) continue; // its period is used up, no slot is
    number++;
    kept.set(id, [...before, { rule, number, of, period, oldest }]);
  }
}

/** The newest snapshot of each period, and the oldest of all. */
function* candidates(
  rule: Rule,
  newestFirst: readonly Dated[],
  calendar: Calendar,
): Generator<{ id: string; period: string; oldest: boolean }> {
  let last: string | undefined;
  for (const [index, { id, at }] of newestFirst.entries()) {
    const period = rule === "last" ? at.toISOString() : calendar.periodOf(at, rule);
    const isNew = rule === "last" || period !== last;
    const isOldest = index === newestFirst.length - 1;
    if (isNew || isOldest) yield { id, period, oldest: !isNew };
    last = period;
  }
}
