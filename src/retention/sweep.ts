import { type ObjectName, objectKey, type StoredObject } from "../snapshot/stored-objects.ts";

/** A mark in condemned/: what a prune found unreferenced. It is never taken back. */
export interface Mark {
  readonly key: string;
  /** When the mark landed, by the store's clock: what it claims of itself is not asked. */
  readonly landed: Date;
  /** Signed by a key that may prune. */
  readonly trusted: boolean;
  readonly objects: readonly ObjectName[];
}

export interface SweepInput {
  /** All objects of the policy, as listed. */
  readonly objects: readonly StoredObject[];
  /** `objectKey` of everything that any record refers to, after the forgotten ones are gone. */
  readonly referenced: ReadonlySet<string>;
  readonly marks: readonly Mark[];
  /** The store's clock. */
  readonly now: Date;
  /** Seconds, of repository.json. */
  readonly condemnAfter: number;
  readonly deleteAfter: number;
}

export interface SweepPlan {
  /** Unreferenced for the first time that anybody looked: marked now, removed by a later prune. */
  readonly condemn: readonly StoredObject[];
  /** Marked long enough ago and still unreferenced. */
  readonly remove: readonly StoredObject[];
  /** Keys of marks whose objects are all gone from the listing. */
  readonly spentMarks: readonly string[];
  /** Marked, unreferenced, and not yet due. */
  readonly waiting: readonly StoredObject[];
  /** Unreferenced, and too young to say that no backup is about to refer to it. */
  readonly young: readonly StoredObject[];
}

/**
 * What a prune does with the objects, in two visits: what is unreferenced is condemned, and removed by a later prune when
 * it is unreferenced still. Nothing is removed that is not in the listing, and nothing that is younger than both waits
 * together, whatever a mark says.
 */
export function sweep(input: SweepInput): SweepPlan {
  const { objects, referenced } = input;
  const condemnedFor = condemnedSeconds(input);
  const plan = {
    condemn: [] as StoredObject[],
    remove: [] as StoredObject[],
    waiting: [] as StoredObject[],
    young: [] as StoredObject[],
  };
  for (const object of objects) {
    const key = objectKey(object);
    if (!referenced.has(key)) plan[fateOf(object, condemnedFor.get(key), input)].push(object);
  }
  return { ...plan, spentMarks: spentMarks(input) };
}

function fateOf(
  { modified }: StoredObject,
  condemned: number | undefined,
  { now, condemnAfter, deleteAfter }: SweepInput,
): "condemn" | "remove" | "waiting" | "young" {
  const age = secondsBetween(modified, now);
  if (condemned === undefined) return age > condemnAfter ? "condemn" : "young";
  return condemned > deleteAfter && age > condemnAfter + deleteAfter ? "remove" : "waiting";
}

/** How long each object has been condemned by a mark that is believed. Seconds. */
function condemnedSeconds({ marks, now }: SweepInput): ReadonlyMap<string, number> {
  const seconds = new Map<string, number>();
  for (const { landed, objects } of marks.filter(({ trusted }) => trusted)) {
    for (const key of objects.map(objectKey)) {
      seconds.set(key, Math.max(seconds.get(key) ?? 0, secondsBetween(landed, now)));
    }
  }
  return seconds;
}

function spentMarks({ objects, marks, now, deleteAfter }: SweepInput): string[] {
  const listed = new Set(objects.map(objectKey));
  return marks
    .filter(({ trusted, landed }) => trusted && secondsBetween(landed, now) > deleteAfter)
    .filter(({ objects: named }) => named.every((object) => !listed.has(objectKey(object))))
    .map(({ key }) => key);
}

function secondsBetween(from: Date, to: Date): number {
  return (to.getTime() - from.getTime()) / 1000;
}
