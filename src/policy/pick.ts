import { DropsError } from "../lib/errors.ts";
import { someOf } from "../lib/words.ts";
import type { WantedSnapshot } from "./dates.ts";
import { wallTime } from "./zone.ts";

export interface Pickable {
  readonly id: string;
  readonly ended: Date;
  readonly state: "complete" | "partial" | "checkpoint";
  /** Why it is not taken by its date. */
  readonly held?: string | undefined;
}

/**
 * The snapshot that is wanted: the newest complete one that nothing holds back, of all, of the day, or at or before the time;
 * an id takes any, since naming it is saying so. Pure. Throws snapshot/missing whose hint names what there is around it, and
 * usage/invalid when an id's first digits fit several.
 */
export function pickSnapshot<Snapshot extends Pickable>(
  snapshots: readonly Snapshot[],
  wanted: WantedSnapshot,
  how: { readonly zone: string },
): Snapshot {
  if (wanted.kind === "id") return byId(snapshots, wanted.id, how.zone);
  const complete = snapshots
    .filter(({ state, held }) => state === "complete" && held === undefined)
    .toSorted(byEnd);
  const picked = complete.findLast((snapshot) => fits(snapshot, wanted));
  if (picked) return picked;
  throw new DropsError("snapshot/missing", `no complete snapshot ${inWords(wanted, how.zone)}`, {
    hint: around(complete, wanted, how.zone),
  });
}

function fits({ ended }: Pickable, wanted: Exclude<WantedSnapshot, { kind: "id" }>): boolean {
  if (wanted.kind === "latest") return true;
  if (wanted.kind === "time") return ended <= wanted.at;
  return wanted.from <= ended && ended < wanted.to;
}

function byId<Snapshot extends Pickable>(snapshots: readonly Snapshot[], id: string, zone: string): Snapshot {
  const [found, ...others] = snapshots.filter((snapshot) => snapshot.id.startsWith(id));
  const exact = snapshots.find((snapshot) => snapshot.id === id);
  if (exact) return exact;
  if (!found) throw new DropsError("snapshot/missing", `no snapshot ${id}`, { hint: "drops snapshots" });
  if (others.length === 0) return found;
  throw new DropsError("usage/invalid", `${others.length + 1} snapshots begin with ${id}`, {
    hint: someOf(
      [found, ...others].toSorted(byEnd).map((each) => `${each.id} of ${wallTime(each.ended, zone)}`),
    ),
  });
}

function inWords(wanted: WantedSnapshot, zone: string): string {
  if (wanted.kind === "day") return `ended on ${wanted.day} (${zone})`;
  return wanted.kind === "time" ? `at or before ${wallTime(wanted.at, zone)}` : "in the repository";
}

function around(sorted: readonly Pickable[], wanted: WantedSnapshot, zone: string): string {
  if (wanted.kind !== "day" && wanted.kind !== "time") return "drops snapshots";
  const start = wanted.kind === "day" ? wanted.from : wanted.at;
  const end = wanted.kind === "day" ? wanted.to : wanted.at;
  const earlier = sorted.findLast(({ ended }) => ended < start);
  const later = sorted.find(({ ended }) => ended >= end);
  const named = [
    earlier && `nearest earlier: --snapshot ${earlier.id} of ${wallTime(earlier.ended, zone)}`,
    later && `nearest later: --snapshot ${later.id} of ${wallTime(later.ended, zone)}`,
  ].filter((each) => each !== undefined);
  return named.length > 0 ? named.join("; ") : "drops snapshots  (none is complete)";
}

function byEnd(a: Pickable, b: Pickable): number {
  return a.ended.getTime() - b.ended.getTime() || (a.id < b.id ? -1 : 1);
}
