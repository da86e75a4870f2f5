import { wallTime } from "../policy/zone.ts";
import type { Decision } from "./decide.ts";
import { type KeepRules, RULES, type Rule } from "./keep.ts";

const UNITS: Readonly<Record<Exclude<Rule, "last">, string>> = {
  daily: "day",
  weekly: "week",
  monthly: "month",
  yearly: "year",
};

/** What the rules give, in words: `any of the last 7 days, 4 weeks, 12 months; oldest restore point 2025-12-31`. */
export function promiseOf(decisions: readonly Decision[], rules: KeepRules, zone: string): string {
  const parts = RULES.filter((rule) => rules[rule] > 0).map((rule) => {
    const many = rules[rule];
    if (rule === "last") return many === 1 ? "snapshot" : `${many} snapshots`;
    return `${many} ${UNITS[rule]}${many === 1 ? "" : "s"}`;
  });
  const oldest = oldestPoint(decisions);
  const reach =
    oldest === undefined
      ? "no restore point yet"
      : `oldest restore point ${wallTime(oldest, zone).slice(0, 10)}`;
  return `any of the last ${parts.join(", ")}; ${reach}`;
}

/** When the oldest snapshot ended that is kept and can be restored as a whole. */
export function oldestPoint(decisions: readonly Decision[]): Date | undefined {
  return decisions.find(
    ({ keep, snapshot, standing }) =>
      keep && snapshot.state === "complete" && (standing.fills || !standing.quarantined),
  )?.snapshot.ended;
}
