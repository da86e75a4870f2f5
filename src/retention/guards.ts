import type { Candidate, Eligibility } from "../snapshot/eligibility.ts";
import type { RetentionContext } from "./context.ts";
import { type Dated, keep } from "./keep.ts";

/**
 * Reasons to keep a snapshot that the rules would let go, by key. Each answers a way in which a good backup was lost by a
 * plan that was right. What is not in the answer has no such reason.
 */
export function guardsOf(
  judged: readonly { readonly snapshot: Candidate; readonly standing: Eligibility }[],
  filling: readonly (Dated & { readonly landed: Date })[],
  context: Pick<RetentionContext, "rules" | "calendar" | "pinned" | "proven">,
): ReadonlyMap<string, readonly string[]> {
  const guards = new Map<string, string[]>();
  const guard = (key: string | undefined, why: string) => {
    if (key !== undefined) guards.set(key, [...(guards.get(key) ?? []), why]);
  };
  for (const { snapshot, standing } of judged) {
    const { key, id } = snapshot;
    if (!standing.fills && standing.quarantined) guard(key, `in quarantine: ${standing.why}`);
    if (context.pinned(id)) guard(key, "pinned");
  }
  const believed = judged
    .filter(({ standing }) => standing.fills || !standing.quarantined)
    .map(({ snapshot }) => snapshot);
  const complete = believed.filter(({ state }) => state === "complete");
  const newest = complete.at(-1);
  guard(newest?.key, "the newest complete one");
  guard(filling.at(-1)?.id, "the newest that fills a slot");
  guard(complete.findLast(({ id }) => context.proven(id))?.key, "the newest that a drill has proven");
  for (const source of new Set(believed.flatMap(({ holds }) => holds))) {
    const last = believed.findLast(({ holds }) => holds.includes(source));
    guard(last?.key, `the newest of ${source}`);
  }
  for (const { key } of unfinished(believed, newest)) guard(key, "a backup may be going on from it");
  for (const key of keepersOfClosedSlots(filling, context))
    guard(key, "a later arrival must not displace it");
  return guards;
}

/** Checkpoints and partial ones that no complete one has superseded yet. */
function unfinished(believed: readonly Candidate[], newest: Candidate | undefined): readonly Candidate[] {
  return believed.filter(
    ({ state, ended }) => state !== "complete" && (newest === undefined || ended > newest.ended),
  );
}

/**
 * What the rules would keep without the records that landed after the day was over on which they claim to have ended: one
 * that arrives late fills a slot that is empty, never one that has its keeper.
 */
function keepersOfClosedSlots(
  filling: readonly (Dated & { readonly landed: Date })[],
  { rules, calendar }: Pick<RetentionContext, "rules" | "calendar">,
): Iterable<string> {
  const inTime = filling.filter(
    ({ at, landed }) => calendar.periodOf(at, "daily") >= calendar.periodOf(landed, "daily"),
  );
  if (inTime.length === filling.length) return [];
  const all = keep(filling, rules, calendar);
  return [...keep(inTime, rules, calendar).keys()].filter((id) => !all.has(id));
}
