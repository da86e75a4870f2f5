import { TZDate } from "@date-fns/tz";
import { addDays } from "date-fns/addDays";
import { DropsError } from "../lib/errors.ts";
import type { Candidate } from "../snapshot/eligibility.ts";
import type { RetentionContext } from "./context.ts";
import { type Decision, decide } from "./decide.ts";

/** Further ahead nobody plans. Days. */
const FURTHEST = 10 * 366;
const IMAGINED = "night of ";

/**
 * What will be decided at a later time, if there is a complete backup every night from now on, at the hour of the newest
 * one, and a prune after each. Nights that have not been yet are among the snapshots; see `isImagined`.
 *
 * @param today the store's clock
 * @param contextAt what the planner works by at a time: pins run out
 * @throws DropsError usage/invalid when `at` is not ahead, or too far
 */
export function decideAt(
  at: Date,
  today: Date,
  snapshots: readonly Candidate[],
  contextAt: (at: Date) => RetentionContext,
): Decision[] {
  const { calendar } = contextAt(at);
  if (at <= today || at.getTime() - today.getTime() > FURTHEST * 86_400_000) {
    throw new DropsError("usage/invalid", "--at needs a date in the next ten years", {
      hint: "--at 2027-06-30, in days of the policy's zone",
    });
  }
  const newest = snapshots.findLast(({ state, trusted, whole }) => state === "complete" && trusted && whole);
  const first = new TZDate(newest?.ended ?? today, calendar.zone);
  let living = snapshots;
  for (let day = 1; ; day++) {
    const night = new Date(addDays(first, day).getTime());
    if (night > at) break;
    if (night <= today) continue; // missed, or still to come today
    living = decide([...living, imagined(night, calendar.periodOf(night, "daily"), newest)], {
      ...contextAt(night),
      foresee: false,
    })
      .filter(({ keep }) => keep)
      .map(({ snapshot }) => snapshot);
  }
  return decide(living, contextAt(at));
}

/** Whether a snapshot is one of the nights to come. */
export function isImagined({ id }: Pick<Candidate, "id">): boolean {
  return id.startsWith(IMAGINED);
}

function imagined(ended: Date, day: string, like: Candidate | undefined): Candidate {
  const id = `${IMAGINED}${day}`;
  return {
    id,
    key: id,
    sequence: (like?.sequence ?? 0) + 1,
    state: "complete",
    ended,
    landed: ended,
    trusted: true,
    whole: true,
    holds: like?.holds ?? [],
  };
}
