import type { Cancel } from "../lib/cancel.ts";
import { DropsError, isFailure } from "../lib/errors.ts";
import type { Signer } from "../seal/sshsig.ts";
import { readCatalog } from "../snapshot/catalog.ts";
import { MOST_CONDEMNED, putMark } from "../snapshot/condemned.ts";
import { isInForce, readNotes } from "../snapshot/pin.ts";
import { listsOf } from "../snapshot/references.ts";
import { FORMAT } from "../snapshot/repository.ts";
import { objectKey, type StoredObject, storedKey } from "../snapshot/stored-objects.ts";
import type { BlobReader, BlobRemover, BlobWriter } from "../store/blob-store.ts";
import { damagedKey, signatureKey } from "../store/keys.ts";
import type { PrunePlan } from "./plan.ts";
import type { Survey, SurveyedSnapshot, SurveyParts } from "./survey.ts";

/** It reads records, notes, marks and lists; never a pack or a manifest, so it needs no identity. */
export interface PruneParts extends SurveyParts {
  readonly store: BlobReader & BlobWriter & BlobRemover;
  /** Signs marks. */
  readonly signer: Signer;
  /** 16 random hex digits. */
  readonly newId: () => string;
  /** Objects that were removed so far. */
  readonly onRemoved?: (done: number, total: number) => void;
}

export interface PruneResult {
  /** Oldest first. */
  readonly forgotten: readonly SurveyedSnapshot[];
  /** Pinned since the plan was made: left alone. */
  readonly spared: readonly SurveyedSnapshot[];
  readonly condemned: readonly StoredObject[];
  readonly removed: readonly StoredObject[];
  /** To be removed by the plan, and referred to by a snapshot that landed since. */
  readonly inUse: readonly StoredObject[];
  readonly spentMarks: readonly string[];
  /** Why nothing was removed after all. */
  readonly stopped: string | undefined;
}

/** Objects in one call, so that an interruption is heeded in between. */
const BATCH = 1000;

/**
 * Carry out a plan that nothing speaks against. Killed at any call, it leaves a repository in which everything that is
 * listed can be restored, and the next prune finishes the job: records go before what they refer to is condemned, marks
 * after what they name is gone.
 *
 * @throws DropsError failures of the store, as they come, with what was done before
 */
export async function prune(
  parts: PruneParts,
  survey: Survey,
  plan: PrunePlan,
  how: Cancel,
): Promise<PruneResult> {
  const done: Done = { forgotten: 0, removed: 0 };
  try {
    return await carryOut(parts, survey, plan, done, how);
  } catch (error) {
    if (!isFailure(error) || (done.forgotten === 0 && done.removed === 0)) throw error;
    const so = `forgotten before: ${done.forgotten} snapshots; removed: ${done.removed} objects`;
    throw new DropsError(error.code, `${error.message} (${so})`, { hint: error.hint, cause: error });
  }
}

/** Counted as it goes, for a prune that does not come to its end. */
interface Done {
  forgotten: number;
  removed: number;
}

async function carryOut(
  parts: PruneParts,
  survey: Survey,
  plan: PrunePlan,
  done: Done,
  how: Cancel,
): Promise<PruneResult> {
  if (plan.refusals.length > 0) throw new Error("a plan that is refused is not carried out");
  const pinned = await pinnedNow(parts, survey, how);
  const isPinned = ({ listed }: SurveyedSnapshot) => pinned.has(listed.record.id);
  const forgotten = plan.forget.filter((one) => !isPinned(one));
  const spared = plan.forget.filter(isPinned);
  const needed = survey.references.keysOf(spared.map(({ listed }) => listed.record));
  const isFree = (object: StoredObject) => !needed.has(objectKey(object));
  for (const { listed } of forgotten) {
    await parts.store.remove(listed.key, how);
    done.forgotten++;
    await parts.store.remove(signatureKey(listed.key), how);
  }
  const condemned = plan.sweep.condemn.filter(isFree);
  await putMarks(parts, survey, condemned, how);
  const due = plan.sweep.remove.filter(isFree);
  const news = due.length === 0 ? NOTHING_NEW : await newReferences(parts, survey, how);
  const removed = news.stopped === undefined ? due.filter((one) => !news.keys.has(objectKey(one))) : [];
  await removeObjects(parts, removed, done, how);
  await removeSpent(parts, survey, plan.sweep.spentMarks, how);
  await removeSpentDamage(parts, survey, how);
  return {
    forgotten,
    spared,
    condemned,
    removed,
    inUse: news.stopped === undefined ? due.filter((one) => news.keys.has(objectKey(one))) : [],
    spentMarks: plan.sweep.spentMarks,
    stopped: news.stopped,
  };
}

/** A restore or a drill may have pinned its snapshot while the operator thought about the plan. */
async function pinnedNow(parts: PruneParts, survey: Survey, how: Cancel): Promise<ReadonlySet<string>> {
  const place = { repository: survey.repository.id, policy: survey.policyName };
  const { notes } = await readNotes(parts.store, place, "pin", parts.trust, how);
  return new Set(notes.filter(({ note }) => isInForce(note, survey.now)).map(({ note }) => note.snapshot));
}

async function putMarks(
  { store, signer, newId }: PruneParts,
  { policyName, repository, now }: Survey,
  objects: readonly StoredObject[],
  how: Cancel,
): Promise<void> {
  for (let at = 0; at < objects.length; at += MOST_CONDEMNED) {
    const named = objects.slice(at, at + MOST_CONDEMNED).map(({ kind, name }) => ({ kind, name }));
    const mark = {
      drops: "condemned",
      format: FORMAT,
      repository: repository.id,
      policy: policyName,
      at: now.toISOString(),
      objects: named,
    } as const;
    await putMark(store, mark, { ...how, id: newId(), signer });
  }
}

interface News {
  /** `objectKey` of what snapshots refer to that landed since the survey. */
  readonly keys: ReadonlySet<string>;
  readonly stopped?: string;
}

const NOTHING_NEW: News = { keys: new Set() };

/** A backup that began before an object was condemned may have committed since. What cannot be read stops everything. */
async function newReferences(parts: PruneParts, survey: Survey, how: Cancel): Promise<News> {
  const { store, policyName } = parts;
  const known = new Set(survey.stored.records);
  const everybody = { ...parts.trust, allowUnsigned: true };
  const isWanted = (key: string) => !known.has(key);
  const { snapshots, unreadable } = await readCatalog(store, survey.repository, policyName, everybody, {
    ...how,
    isWanted,
  });
  const [problem] = unreadable;
  if (problem) return { keys: new Set(), stopped: `${problem.why.message}; it landed meanwhile` };
  const records = snapshots.map(({ record }) => record);
  await survey.references.read(store, policyName, records, how);
  const lost = records.flatMap(listsOf).find((list) => survey.references.list(list).state !== "read");
  if (lost !== undefined)
    return { keys: new Set(), stopped: `list ${lost} of a snapshot that landed meanwhile cannot be read` };
  return { keys: survey.references.keysOf(records) };
}

async function removeObjects(
  { store, policyName, onRemoved }: PruneParts,
  objects: readonly StoredObject[],
  done: Done,
  how: Cancel,
): Promise<void> {
  for (let at = 0; at < objects.length; at += BATCH) {
    const batch = objects.slice(at, at + BATCH);
    await store.removeAll(
      batch.map((object) => storedKey(policyName, object)),
      how,
    );
    done.removed += batch.length;
    onRemoved?.(at + batch.length, objects.length);
  }
}

/** The mark before its signature: one without a signature would have no say, and could not be told from a forged one. */
async function removeSpent(
  { store }: PruneParts,
  { marks, now, repository }: Survey,
  spent: readonly string[],
  how: Cancel,
): Promise<void> {
  const { condemn_after, delete_after } = repository.constants;
  const oldest = now.getTime() - (condemn_after + delete_after) * 1000;
  const lone = marks.loneSignatures.filter(({ modified }) => modified.getTime() < oldest);
  if (spent.length > 0) await store.removeAll(spent, how);
  const signatures = [...spent.map(signatureKey), ...lone.map(({ key }) => key)];
  if (signatures.length > 0) await store.removeAll(signatures, how);
}

/** That something is damaged says nothing any more once it is gone from the listing. The mark before its signature. */
async function removeSpentDamage(
  { store, policyName }: PruneParts,
  { damaged, stored }: Survey,
  how: Cancel,
): Promise<void> {
  const listed = new Set([...stored.objects.values()].map(({ name }) => name));
  const spent = [...damaged].filter((name) => !listed.has(name)).map((name) => damagedKey(policyName, name));
  if (spent.length === 0) return;
  await store.removeAll(spent, how);
  await store.removeAll(spent.map(signatureKey), how);
}
