import type { Cancel } from "../lib/cancel.ts";
import { type ListedSnapshot, readCatalog } from "../snapshot/catalog.ts";
import { type Marks, readMarks } from "../snapshot/condemned.ts";
import { type Candidate, candidateOf } from "../snapshot/eligibility.ts";
import { type ListedNote, readNotes } from "../snapshot/pin.ts";
import { type Inventory, takeInventory } from "../snapshot/references.ts";
import { type PolicyPlace, type Repository, readRepository } from "../snapshot/repository.ts";
import type { BlobReader } from "../store/blob-store.ts";
import type { Trust } from "../trust/trust.ts";

/** Where to look, and whom to believe. No identity: nothing that is read is encrypted. */
export interface SurveyParts {
  readonly store: BlobReader;
  readonly policyName: string;
  readonly trust: Trust;
  /** This machine's clock. */
  readonly now: () => Date;
  /** Ids of snapshots that believed evidence proves. */
  readonly proven: (place: PolicyPlace, how: Cancel) => Promise<ReadonlySet<string>>;
}

export interface SurveyedSnapshot {
  readonly listed: ListedSnapshot;
  readonly candidate: Candidate;
}

/** What a plan of what is kept depends on. */
export interface SnapshotSurvey extends Inventory {
  readonly policyName: string;
  readonly repository: Repository;
  /** The store's clock. */
  readonly now: Date;
  /** How far this machine's clock is ahead of it. */
  readonly skewSeconds: number;
  /** Oldest first, whoever signed them. */
  readonly snapshots: readonly SurveyedSnapshot[];
  readonly pins: readonly ListedNote[];
  readonly withdrawn: readonly ListedNote[];
  readonly proven: ReadonlySet<string>;
  /** Why it is not known what is referred to, or what is pinned: nothing may be removed then. */
  readonly obstacles: readonly string[];
  /** What a person should know. */
  readonly notes: readonly string[];
}

/** What lies in the store, as far as it can be known without a key and without a pack. */
export interface Survey extends SnapshotSurvey {
  readonly marks: Marks;
}

/**
 * Look at everything that a prune depends on. Throws as surveySnapshots.
 */
export async function survey(parts: SurveyParts, how: Cancel): Promise<Survey> {
  const surveyed = await surveySnapshots(parts, how);
  const place = { repository: surveyed.repository.id, policy: parts.policyName };
  const marks = await readMarks(parts.store, place, parts.trust, how);
  return { ...surveyed, marks, notes: [...surveyed.notes, ...notesOn(marks)] };
}

/**
 * Look at everything that what is kept depends on. Marks are not read: not every role may.
 *
 * @throws DropsError repository/missing, format/unsupported, signature/untrusted of repository.json; failures of the store
 */
export async function surveySnapshots(parts: SurveyParts, how: Cancel): Promise<SnapshotSurvey> {
  const { store, policyName, trust } = parts;
  const repository = await readRepository(store, trust, how);
  const place = { repository: repository.id, policy: policyName };
  const { now, skewSeconds } = await clocks(parts, how);
  const everybody = { ...trust, allowUnsigned: true }; // who is not believed still refers to objects
  const [catalog, pins, withdrawn, proven] = await Promise.all([
    readCatalog(store, repository, policyName, everybody, how),
    readNotes(store, place, "pin", trust, how),
    readNotes(store, place, "withdrawn", trust, how),
    parts.proven(place, how),
  ]);
  const records = catalog.snapshots.map(({ record }) => record);
  const inventory = await takeInventory(store, policyName, records, how);
  const snapshots = catalog.snapshots.map((listed) => {
    return {
      listed,
      candidate: candidateOf(listed, { whole: inventory.references.areWhole(listed.record) }),
    };
  });
  return {
    policyName,
    repository,
    now,
    skewSeconds,
    snapshots,
    ...inventory,
    pins: pins.notes,
    withdrawn: withdrawn.notes.filter(({ trusted }) => trusted),
    proven,
    obstacles: [
      ...catalog.unreadable.map(({ why }) => why.message),
      ...inventory.stored.strangers.map((key) => `${key} is neither a record nor its signature`),
      ...pins.unreadable.map(({ why }) => why.message),
    ],
    notes: [
      ...withdrawn.unreadable.map(({ why }) => `not heeded: ${why.message}`),
      ...withdrawn.notes.filter(isDoubtful).map(({ key }) => `not heeded: nobody trusted signed ${key}`),
      ...pins.notes
        .filter(isDoubtful)
        .map(({ key }) => `nobody trusted signed ${key}; it counts all the same`),
    ],
  };
}

function notesOn({ marks, unreadable }: Marks): string[] {
  const doubtful = marks.filter(({ trusted }) => !trusted);
  return [
    ...unreadable.map(({ why }) => `not heeded: ${why.message}`),
    ...doubtful.map(({ key }) => `not heeded: mark ${key} is not signed by a key that may prune`),
  ];
}

function isDoubtful({ trusted }: ListedNote): boolean {
  return !trusted;
}

async function clocks(
  { store, now }: SurveyParts,
  how: Cancel,
): Promise<{ readonly now: Date; readonly skewSeconds: number }> {
  const before = now().getTime();
  const there = await store.now(how);
  const here = (before + now().getTime()) / 2;
  return { now: there, skewSeconds: Math.round((here - there.getTime()) / 1000) };
}
