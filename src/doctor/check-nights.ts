import { rough } from "../lib/words.ts";
import { failingInWords, stateOf } from "../status/concerns.ts";
import type { Concern, State, Status } from "../status/report.ts";
import { type Check, fail, type Line, ok, warn } from "./types.ts";
import type { World } from "./world.ts";

/** It lists everything that snapshots need. */
const LIMIT_MS = 120_000;

const WHY: Readonly<Record<Exclude<State, "green">, string>> = {
  broken: "a damaged or untrusted snapshot cannot be restored when you need it",
  late: "what happened after the newest restore point is lost with the server",
  amber: "what was never tried may not work on the day that it is needed",
  unproven: "that a backup can be restored is known of those alone that were: the rest is hope",
};

/** What the nights so far came to, where everything else is about the next one. */
export function nightsCheck(world: World): Check {
  return {
    group: "nights",
    name: "status",
    needs: "store",
    limitMs: LIMIT_MS,
    why: "a night that went wrong goes wrong again until somebody puts it right",
    run: async (how) => judgeNights(await world.status(how)),
  };
}

/** Looked at now by checks of their own. */
const ELSEWHERE: readonly string[] = ["clock", "space", "recovery-key"];

/** Pure: the concerns of `drops status`, but for those that checks of their own name. */
export function judgeNights(status: Status): Line[] {
  const { concerns, failing, snapshots, unreadable } = status;
  if (snapshots.length + unreadable.length === 0 && !failing) {
    return [warn("no backup has been made yet", "drops backup")];
  }
  const told = concerns.filter(({ kind }) => !ELSEWHERE.includes(kind));
  const lines = told.map(lineOf);
  const isTold = told.some(({ kind }) => kind === "late" || kind === "no-snapshot");
  if (failing && !isTold) {
    lines.push({ ...warn(failingInWords(failing), failing.hint ?? "drops backup"), why: WHY.late });
  }
  return lines.length > 0 ? lines : [well(status)];
}

/** The last attempt at one source says nothing of the next: that is tried, in its own group. */
function lineOf(concern: Concern): Line {
  const { kind, what, hint } = concern;
  const state = stateOf([concern]);
  const isMild = kind === "failed" || kind === "uncovered" || state === "amber";
  const line = isMild ? warn(what, hint) : fail(what, hint);
  if (kind === "failed") return { ...line, why: "what is in no snapshot is lost with the server" };
  return state === "green" ? line : { ...line, why: WHY[state] };
}

function well({ restore: { newest, points, rpoSeconds }, drills: { proven } }: Status): Line {
  const count = points === 1 ? "1 restore point" : `${points} restore points`;
  const age = newest ? `, the newest ${rough(newest.ageSeconds)} old, ${rough(rpoSeconds)} are allowed` : "";
  const drilled = proven ? `; a drill proved everything ${rough(proven.ageSeconds)} ago` : "";
  return ok(`${count}${age}${drilled}`);
}
