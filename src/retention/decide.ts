import { type Candidate, type Eligibility, eligibilityOf } from "../snapshot/eligibility.ts";
import type { RetentionContext } from "./context.ts";
import { forecast } from "./forecast.ts";
import { guardsOf } from "./guards.ts";
import { keep, type Slot } from "./keep.ts";

export interface Decision {
  readonly snapshot: Candidate;
  readonly standing: Eligibility;
  readonly keep: boolean;
  /** Slots of the rules that it fills. */
  readonly slots: readonly Slot[];
  /** Why it is kept whatever the rules say. */
  readonly guards: readonly string[];
  /** When the rules let it go, if there is a backup every night from now on; undefined: not within three years, or unknown. */
  readonly goes?: Date;
}

/**
 * What happens to every snapshot, and why. The rules say what is kept; the guards, another layer, can only keep more.
 * Snapshots are told apart by their keys: anybody may write a record with the id of another one.
 *
 * @param snapshots all that are listed, oldest first
 */
export function decide(snapshots: readonly Candidate[], context: RetentionContext): Decision[] {
  const { rules, calendar } = context;
  const judged = snapshots.map((snapshot) => ({ snapshot, standing: eligibilityOf(snapshot, context) }));
  const filling = judged
    .filter(({ standing }) => standing.fills)
    .map(({ snapshot }) => ({ id: snapshot.key, at: snapshot.ended, landed: snapshot.landed }));
  const slots = keep(filling, rules, calendar);
  const guards = guardsOf(judged, filling, context);
  const kept = filling.filter(({ id }) => slots.has(id));
  const goes = context.foresee === false ? new Map() : forecast(kept, rules, calendar);
  return judged.map(({ snapshot, standing }) => {
    const { key } = snapshot;
    const [filled, guarded, date] = [slots.get(key) ?? [], guards.get(key) ?? [], goes.get(key)];
    return {
      snapshot,
      standing,
      keep: filled.length > 0 || guarded.length > 0,
      slots: filled,
      guards: guarded,
      ...(date === undefined ? {} : { goes: date }),
    };
  });
}
