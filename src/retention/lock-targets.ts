import { isInForce, type ListedNote } from "../snapshot/pin.ts";
import type { SnapshotRecord } from "../snapshot/record.ts";
import type { References } from "../snapshot/references.ts";
import {
  listKey,
  manifestKey,
  packKey,
  REPOSITORY_KEY,
  REPOSITORY_SIGNATURE_KEY,
  signatureKey,
} from "../store/keys.ts";
import type { Decision } from "./decide.ts";
import { type LockRules, lockUntil } from "./lock-times.ts";
import type { SnapshotSurvey } from "./survey.ts";

/** An object that has to stay, and how long it has to be locked. */
export interface LockTarget {
  readonly key: string;
  /** Bytes, as what refers to it says; undefined: nothing says so. */
  readonly size: number | undefined;
  readonly until: Date;
}

export interface LockTargets {
  readonly targets: readonly LockTarget[];
  /** Snapshots that are kept and not locked: nobody trusted signed them. */
  readonly unbelieved: readonly Decision[];
}

/**
 * What every kept snapshot needs, each object once, for as long as the last of them. Pure.
 *
 * What nobody trusted signed is kept by a prune, and not locked: whoever may put could have anything paid for.
 *
 * @param others keys of what is no snapshot's and has to stay as long as there is a repository
 */
export function lockTargets(
  survey: SnapshotSurvey,
  decisions: readonly Decision[],
  others: readonly string[],
  rules: LockRules,
): LockTargets {
  const kept = decisions.filter(({ keep }) => keep);
  const believed = new Map(
    kept.filter(({ snapshot }) => snapshot.trusted).map((decision) => [decision.snapshot.key, decision]),
  );
  const found = new Targets();
  const { now } = survey;
  const forNow = lockUntil(soon(now, rules), now, rules).until;
  for (const key of [REPOSITORY_KEY, REPOSITORY_SIGNATURE_KEY, ...others]) found.add(key, undefined, forNow);
  for (const { listed } of survey.snapshots) {
    const { key, record } = listed;
    const decision = believed.get(key);
    if (!decision) continue;
    const { until } = lockUntil(keptUntil(decision, survey, rules), now, rules);
    found.add(key, undefined, until);
    found.add(signatureKey(key), undefined, until);
    addNeeds(found, survey.policyName, record, survey.references, until);
  }
  for (const { key, note } of survey.pins.filter((pin) => pin.trusted && isInForce(pin.note, now))) {
    const { until } = lockUntil(pinnedUntil(note), now, rules);
    found.add(key, undefined, until);
    found.add(signatureKey(key), undefined, until);
  }
  return { targets: found.all(), unbelieved: kept.filter(({ snapshot }) => !snapshot.trusted) };
}

/** As far as is known today. Undefined: for longer than anybody foresees. */
function keptUntil(decision: Decision, survey: SnapshotSurvey, rules: LockRules): Date | undefined {
  const { slots, goes, snapshot, guards } = decision;
  const ends: (Date | undefined)[] = [];
  // It is kept although it was to go: there was no backup since, and nobody knows when there will be.
  if (slots.length > 0) ends.push(goes && goes <= survey.now ? soon(survey.now, rules) : goes);
  if (guards.length > 0) ends.push(soon(survey.now, rules)); // for how long a guard holds nobody knows
  for (const { note } of pinsOf(survey, snapshot.id)) ends.push(pinnedUntil(note));
  const known = ends.filter((end) => end !== undefined);
  if (known.length < ends.length) return undefined;
  return new Date(Math.max(...known.map((end) => end.getTime())));
}

/** What is wanted for now is locked for two margins, so that it is due again when one is left. */
function soon(now: Date, { margin }: LockRules): Date {
  return new Date(now.getTime() + margin);
}

function pinsOf({ pins, now }: SnapshotSurvey, id: string): readonly ListedNote[] {
  return pins.filter(({ note, trusted }) => trusted && note.snapshot === id && isInForce(note, now));
}

function pinnedUntil({ until }: ListedNote["note"]): Date | undefined {
  return until === undefined ? undefined : new Date(until);
}

function addNeeds(
  found: Targets,
  policy: string,
  record: SnapshotRecord,
  references: References,
  until: Date,
): void {
  for (const { manifest, list } of record.sources) {
    if (manifest) found.add(manifestKey(policy, manifest.sha256), manifest.size, until);
    if (!list) continue;
    found.add(listKey(policy, list.sha256), list.size, until);
    const read = references.list(list.sha256);
    // with the sizes that the list says, whatever is stored under their names
    if (read.state === "read")
      for (const { sha256, size } of read.packs) found.add(packKey(policy, sha256), size, until);
  }
}

class Targets {
  readonly #found = new Map<string, LockTarget>();

  add(key: string, size: number | undefined, until: Date): void {
    const before = this.#found.get(key);
    if (before && before.until >= until) return;
    this.#found.set(key, { key, size: size ?? before?.size, until });
  }

  all(): LockTarget[] {
    return [...this.#found.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
  }
}
