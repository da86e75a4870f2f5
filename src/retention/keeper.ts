import type { Cancel } from "../lib/cancel.ts";
import { isFailure } from "../lib/errors.ts";
import { mapLimit } from "../lib/map-limit.ts";
import type { BlobLocker, BlobReader, BlobVersion, Lock, VersionReader } from "../store/blob-store.ts";
import {
  evidencePrefix,
  listsPrefix,
  manifestsPrefix,
  packsPrefix,
  parseRecordKey,
  REPOSITORY_KEY,
  recoveryPrefix,
  snapshotsPrefix,
} from "../store/keys.ts";
import { firstVersions, VersionIndex } from "../store/version-index.ts";
import { type Decision, decide } from "./decide.ts";
import { type LockTarget, lockTargets } from "./lock-targets.ts";
import { type LockRules, lockInWords } from "./lock-times.ts";
import { contextOf, type PlanHow } from "./plan.ts";
import { type SnapshotSurvey, type SurveyParts, surveySnapshots } from "./survey.ts";

/** It reads records, notes and lists, sees versions and extends locks: no key, nothing to put or remove with. */
export interface KeeperParts extends SurveyParts {
  readonly store: BlobReader & VersionReader & BlobLocker;
  /** Objects whose lock was looked at or extended so far. */
  readonly onLooked?: (done: number, total: number) => void;
}

export interface KeeperHow extends Pick<PlanHow, "rules" | "calendar"> {
  readonly lock: LockRules;
}

/** The version of an object that has to stay. */
export interface Held {
  readonly target: LockTarget;
  readonly version: BlobVersion;
  /** Undefined: it was never locked. */
  readonly lock: Lock | undefined;
}

/** An object whose lock ends too early, and what it is to become. */
export interface Due extends Held {
  readonly wanted: Lock;
}

/** An object that is not what a reader who asks for its name gets. */
export interface Hidden {
  readonly key: string;
  /** The right one. */
  readonly version: string;
  /** What hides it. */
  readonly by: BlobVersion;
}

export interface KeeperPlan {
  readonly survey: SnapshotSurvey;
  readonly decisions: readonly Decision[];
  readonly unbelieved: readonly Decision[];
  readonly enough: readonly Held[];
  readonly due: readonly Due[];
  /** Needed, and there is no version of the right size. */
  readonly missing: readonly LockTarget[];
  readonly hidden: readonly Hidden[];
  /** Keys of records that were removed although their locks say that they were to stay. */
  readonly removedEarly: readonly string[];
}

const AT_ONCE = 8;

/**
 * Which locks have to be extended. Everything is read below what later versions and delete markers hide, but for snapshots,
 * pins and withdrawals that were removed: those are gone.
 *
 * @throws DropsError of surveySnapshots; store/refused for a bucket without Object Lock
 */
export async function planKeeper(parts: KeeperParts, how: KeeperHow, signal: Cancel): Promise<KeeperPlan> {
  const { store, policyName } = parts;
  const index = await VersionIndex.read(store, [REPOSITORY_KEY, recoveryPrefix, `${policyName}/`], signal);
  const isShown = (key: string) => isStillThere(key, policyName, index);
  const below = firstVersions(store, index, isShown);
  const survey = await surveySnapshots({ ...parts, store: below }, signal);
  const candidates = survey.snapshots.map(({ candidate }) => candidate);
  const decisions = decide(candidates, contextOf(survey, how));
  const others = [recoveryPrefix, evidencePrefix(policyName)].flatMap((prefix) => index.keys(prefix));
  const { targets, unbelieved } = lockTargets(survey, decisions, others.filter(isShown), how.lock);
  const found = await lookAt(parts, index, targets, how.lock, survey.now, signal);
  const removedEarly = await goneTooEarly(parts, index, how.lock, survey.now, signal);
  return { survey, decisions, unbelieved, ...found, removedEarly };
}

/**
 * A prune removes records, notes and marks by a marker, and so does anybody else who may: they are gone. What records refer to
 * is there as long as they are, and so is a signature beside what it signs.
 */
function isStillThere(key: string, policyName: string, index: VersionIndex): boolean {
  const needed = [packsPrefix, listsPrefix, manifestsPrefix].map((prefix) => prefix(policyName));
  if (!key.startsWith(`${policyName}/`) || needed.some((prefix) => key.startsWith(prefix))) return true;
  const signed = key.replace(/\.sig$/, "");
  return index.hidingMarker(index.of(signed).length > 0 ? signed : key) === undefined;
}

/**
 * Extend what is due, and read every lock back. Killed at any call, the next run finishes: a lock that was extended is no
 * longer due.
 *
 * @returns keys whose locks are not what was asked for, and why; the others are
 * @throws DropsError store/unavailable, with the rest undone
 */
export async function extendLocks(
  parts: Pick<KeeperParts, "store" | "onLooked">,
  due: readonly Due[],
  how: Cancel,
): Promise<{ readonly key: string; readonly why: string }[]> {
  const failed: { key: string; why: string }[] = [];
  let done = 0;
  const work = (one: Due, signal: AbortSignal) => extendOne(parts.store, one, { signal });
  for await (const failure of mapLimit(due, AT_ONCE, work, how.signal)) {
    if (failure) failed.push(failure);
    parts.onLooked?.(++done, due.length);
  }
  return failed;
}

async function extendOne(
  store: BlobLocker,
  { version, wanted }: Due,
  how: Cancel,
): Promise<{ key: string; why: string } | undefined> {
  const { key } = version;
  try {
    await store.extendLock(key, version.version, wanted, how);
    const found = await store.lockOf(key, version.version, how);
    if (found && found.until >= wanted.until) return undefined;
    return { key, why: `the store said yes, and it is locked ${lockInWords(found)}` };
  } catch (error) {
    if (isFailure(error, "store/refused", "store/missing")) return { key, why: error.message };
    throw error;
  }
}

async function lookAt(
  parts: KeeperParts,
  index: VersionIndex,
  targets: readonly LockTarget[],
  rules: LockRules,
  now: Date,
  how: Cancel,
): Promise<Pick<KeeperPlan, "enough" | "due" | "missing" | "hidden">> {
  const found = {
    enough: [] as Held[],
    due: [] as Due[],
    missing: [] as LockTarget[],
    hidden: [] as Hidden[],
  };
  let done = 0;
  const work = async (target: LockTarget, signal: AbortSignal) => {
    const version = index
      .of(target.key)
      .find(({ size }) => target.size === undefined || size === target.size);
    if (!version) return { target };
    try {
      const lock = await parts.store.lockOf(target.key, version.version, { signal });
      return { target, held: { target, version, lock } };
    } catch (error) {
      if (isFailure(error, "store/missing")) return { target }; // gone since it was listed
      throw error;
    }
  };
  for await (const { target, held } of mapLimit(targets, AT_ONCE, work, how.signal)) {
    parts.onLooked?.(++done, targets.length);
    if (!held) {
      if (target.size !== undefined) found.missing.push(target);
      continue;
    }
    const wanted = wantedOf(held, rules, now);
    if (wanted) found.due.push({ ...held, wanted });
    else found.enough.push(held);
    const by = hiderOf(held, index);
    if (by) found.hidden.push({ key: target.key, version: held.version.version, by });
  }
  return found;
}

/**
 * Undefined while the lock lasts at least until a margin before what is wanted, and for a margin from now: the next run may be
 * late. A lock keeps its mode.
 */
function wantedOf({ target, lock }: Held, { mode, margin }: LockRules, now: Date): Lock | undefined {
  const until = target.until.getTime();
  const least = Math.max(until - margin, Math.min(until, now.getTime() + margin));
  const held = lock && lock.until > now ? lock : undefined;
  if (held && held.until.getTime() >= least) return undefined;
  return { mode: held?.mode ?? mode, until: target.until };
}

/** A marker, or a version that was put over it. drops puts a list again that a prune took away: then there is a marker between. */
function hiderOf({ target, version }: Held, index: VersionIndex): BlobVersion | undefined {
  const marker = index.hidingMarker(target.key);
  if (marker || version.isLatest) return marker;
  const latest = index.of(target.key).find(({ isLatest }) => isLatest);
  return index.hasMarkers(target.key) && latest?.size === version.size ? undefined : latest;
}

/** What a prune let go has at most two margins left. */
async function goneTooEarly(
  { store, policyName }: KeeperParts,
  index: VersionIndex,
  { margin }: LockRules,
  now: Date,
  how: Cancel,
): Promise<string[]> {
  const removed = index
    .keys(snapshotsPrefix(policyName))
    .filter((key) => parseRecordKey(policyName, key) && index.hidingMarker(key))
    .flatMap((key) => index.of(key).slice(0, 1));
  const early: string[] = [];
  const work = async ({ key, version }: BlobVersion, signal: AbortSignal) => {
    return { key, lock: await store.lockOf(key, version, { signal }) };
  };
  for await (const { key, lock } of mapLimit(removed, AT_ONCE, work, how.signal)) {
    if (lock && lock.until.getTime() > now.getTime() + 2 * margin) early.push(key);
  }
  return early;
}
