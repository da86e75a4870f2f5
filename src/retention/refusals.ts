import { isFailure } from "../lib/errors.ts";
import type { SourceRecord } from "../snapshot/record.ts";
import { listsOf } from "../snapshot/references.ts";
import { requireUnderstood } from "../snapshot/repository.ts";
import type { Decision } from "./decide.ts";
import type { Refusal } from "./report.ts";
import type { Survey } from "./survey.ts";

/** What a policy sets. */
export interface Limits {
  readonly rpoSeconds: number;
  /** Percent of the complete snapshots that may be forgotten at once. */
  readonly maxShare: number;
  /** Percent by which a source may shrink from one snapshot to the next. */
  readonly maxShrink: number;
}

/** So many may always be forgotten, however few there are. */
const FEW = 2;
/** More than twice the time between two backups, and something is wrong. */
const MOST_RPO = 2;

/**
 * Reasons to do nothing at all. Each stands for a way in which a prune that was right by its rules completed a disaster:
 * it worked on half a view, or went on while the backups were broken.
 *
 * @param accept how many the operator expects to be forgotten
 */
export function refusalsOf(
  survey: Survey,
  decisions: readonly Decision[],
  limits: Limits,
  accept?: number,
): Refusal[] {
  const forgotten = decisions.filter(({ keep }) => !keep).length;
  const all = [
    ...unknownFeatures(survey),
    ...survey.obstacles.map((why) => hard(why, LOOK)),
    ...unreadableLists(survey, decisions),
    ...clockApart(survey),
    ...tooOld(survey, decisions, limits),
    ...tooMany(decisions, limits, forgotten),
    ...shrunk(survey, decisions, limits, forgotten),
  ];
  return all.filter(({ acceptable }) => !(acceptable && accept === forgotten));
}

const LOOK = "find out who wrote it; restore it from a copy, or remove it by hand once it is understood";

function hard(why: string, hint: string): Refusal {
  return { why, hint, acceptable: false };
}

function unknownFeatures({ repository }: Survey): Refusal[] {
  try {
    requireUnderstood(repository);
    return [];
  } catch (error) {
    if (isFailure(error, "format/unsupported")) return [hard(error.message, "update drops")];
    throw error;
  }
}

/** Without a list nobody knows which packs are needed. One that a replayed record has lost protects nothing any more. */
function unreadableLists({ snapshots, references }: Survey, decisions: readonly Decision[]): Refusal[] {
  const doubtful = new Set(
    decisions.filter(({ standing }) => isDistrusted(standing)).map(({ snapshot }) => snapshot.key),
  );
  const problems = new Map<string, string>();
  for (const { listed } of snapshots) {
    for (const sha256 of listsOf(listed.record)) {
      const list = references.list(sha256);
      const by = `which snapshot ${listed.record.id} refers to`;
      if (list.state === "unreadable") problems.set(sha256, `${list.why}, ${by}`);
      if (list.state === "missing" && !doubtful.has(listed.key))
        problems.set(sha256, `list ${sha256} is missing, ${by}`);
    }
  }
  return [...problems.values()].map((why) => hard(why, "drops verify says what else is damaged"));
}

/** In quarantine for another reason than that objects are missing. */
function isDistrusted(standing: Decision["standing"]): boolean {
  return !standing.fills && standing.quarantined && !standing.incomplete;
}

function clockApart({ skewSeconds, repository }: Survey): Refusal[] {
  const most = repository.constants.max_clock_skew;
  if (Math.abs(skewSeconds) <= most) return [];
  const side = skewSeconds > 0 ? "ahead of" : "behind";
  const why = `this machine's clock is ${Math.abs(skewSeconds)} s ${side} the store's; ${most} s are allowed`;
  return [hard(why, "set the clock that is wrong (timedatectl set-ntp true)")];
}

function tooOld(survey: Survey, decisions: readonly Decision[], { rpoSeconds }: Limits): Refusal[] {
  const newest = completeOf(decisions).at(-1);
  const isEmpty = survey.snapshots.length === 0 && survey.stored.objects.size === 0;
  if (!newest) return isEmpty ? [] : [hard("there is no complete, trusted snapshot", "drops snapshots")];
  const age = (survey.now.getTime() - newest.snapshot.ended.getTime()) / 1000;
  if (age <= MOST_RPO * rpoSeconds) return [];
  const hours = Math.round(age / 360) / 10;
  const why = `the newest complete snapshot is ${hours} h old, more than ${MOST_RPO} times the policy's rpo`;
  return [hard(why, "look why there is no newer one: drops backup")];
}

function tooMany(decisions: readonly Decision[], { maxShare }: Limits, forgotten: number): Refusal[] {
  const complete = completeOf(decisions);
  const going = complete.filter(({ keep }) => !keep).length;
  if (going <= Math.max(FEW, Math.floor((complete.length * maxShare) / 100))) return [];
  const why = `${going} of ${complete.length} complete snapshots would be forgotten at once; the policy allows ${maxShare} %`;
  return [{ why, hint: `if that is what you want: drops prune --accept ${forgotten}`, acceptable: true }];
}

/** A source that lost most of itself is still backed up every night, until the last good night has aged out. */
function shrunk(
  survey: Survey,
  decisions: readonly Decision[],
  { maxShrink }: Limits,
  forgotten: number,
): Refusal[] {
  const complete = completeOf(decisions);
  const proven = complete.findLast(({ snapshot }) => survey.proven.has(snapshot.id));
  const recordOf = (decision: Decision | undefined) =>
    survey.snapshots.find(({ listed }) => listed.key === decision?.snapshot.key)?.listed.record;
  const [now, then] = [recordOf(complete.at(-1)), recordOf(proven ?? complete.at(-2))];
  if (!now || !then || now === then) return [];
  const hint = `look at it: drops ls ${now.id}; a drill that proves it, or drops prune --accept ${forgotten}, goes on`;
  const since = `${proven ? "proven " : ""}snapshot ${then.id}`;
  return then.sources.flatMap((source) => {
    const what = collapsed(
      source,
      now.sources.find(({ name }) => name === source.name),
      maxShrink,
    );
    return what === undefined
      ? []
      : [{ why: `source ${source.name} shrank ${what} since ${since}`, hint, acceptable: true }];
  });
}

function collapsed(
  before: SourceRecord,
  after: SourceRecord | undefined,
  maxShrink: number,
): string | undefined {
  if (!after) return undefined; // the policy has no such source any more
  for (const [field, unit] of [
    ["bytes", "bytes"],
    ["files", "files"],
  ] as const) {
    const [old, now] = [before[field] ?? 0, after[field] ?? 0];
    if (now * 100 < old * (100 - maxShrink)) return `from ${old} to ${now} ${unit}`;
  }
  return undefined;
}

/** Complete ones that are not in quarantine, oldest first. */
function completeOf(decisions: readonly Decision[]): readonly Decision[] {
  return decisions.filter(
    ({ snapshot, standing }) => snapshot.state === "complete" && (standing.fills || !standing.quarantined),
  );
}
