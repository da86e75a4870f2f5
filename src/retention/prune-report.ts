/** What plan and prune found and did, as the command line tells it. */

import type { StoredObject } from "../snapshot/stored-objects.ts";
import type { Decision } from "./decide.ts";
import { isImagined } from "./future.ts";
import type { KeepRules } from "./keep.ts";
import type { WrittenNote } from "./operator-notes.ts";
import type { PrunePlan } from "./plan.ts";
import { oldestPoint, promiseOf } from "./promise.ts";
import type { PruneResult } from "./prune.ts";
import type { NoteReport, PlannedSnapshot, PlanReport, PruneReport } from "./report.ts";
import type { Survey } from "./survey.ts";

type PlanPlace = Pick<PlanReport, "policy" | "store" | "zone">;

export interface PlanView extends PlanPlace {
  readonly survey: Survey;
  readonly plan: PrunePlan;
  readonly rules: KeepRules;
  /** What versions and locks hold; undefined: not known. */
  readonly held?: { readonly objects: number; readonly bytes: number } | undefined;
}

/** @param later what is decided at a later time instead */
export function planView(
  { survey, plan, rules, held, ...place }: PlanView,
  later?: { readonly at: Date; readonly decisions: readonly Decision[] },
): PlanReport {
  const decisions = later?.decisions ?? plan.decisions;
  const { remove, condemn, waiting, young } = plan.sweep;
  const next = {
    forget: plan.forget.length,
    remove: total(remove),
    condemn: total(condemn),
    waiting: total(waiting),
    young: total(young),
  };
  return {
    ...place,
    at: (later?.at ?? survey.now).toISOString(),
    rules,
    snapshots: decisions.map((decision) => plannedSnapshot(decision, plan.alone)),
    promise: promiseOf(decisions, rules, place.zone),
    ...oldestOf(decisions),
    stored: total([...survey.stored.objects.values()]),
    ...(held ? { held } : {}),
    ...(later ? {} : { next }),
    refusals: later ? [] : plan.refusals,
    notes: survey.notes,
  };
}

/** @param result undefined: the plan is refused, and nothing was done */
export function pruneView(view: PlanView, result: PruneResult | undefined, seconds: number): PruneReport {
  const { survey, plan, rules, held, ...place } = view;
  const { forgotten = [], removed = [], condemned = [], inUse = [], spared = [], stopped } = result ?? {};
  const kept = plan.decisions.filter(({ keep }) => keep);
  return {
    ...place,
    forgotten: forgotten.map(({ listed: { record } }) => {
      return { id: record.id, ended: record.ended, state: record.state };
    }),
    kept: survey.snapshots.length - forgotten.length,
    removed: total(removed),
    ...(held ? { held } : {}),
    condemned: total(condemned),
    waiting: total(plan.sweep.waiting),
    young: total(plan.sweep.young),
    inUse: total(inUse),
    quarantined: quarantinedOf(plan),
    refused:
      stopped === undefined
        ? plan.refusals
        : [{ why: stopped, hint: "run drops prune again", acceptable: false }],
    promise: promiseOf(kept, rules, place.zone),
    ...oldestOf(kept),
    seconds,
    notes: [
      ...survey.notes,
      ...spared.map(({ listed }) => `${listed.record.id} was pinned meanwhile: it is kept`),
    ],
  };
}

export function noteView(
  place: PlanPlace,
  action: NoteReport["action"],
  { snapshot, key, note }: WrittenNote,
): NoteReport {
  const { id, ended, state } = snapshot;
  return {
    ...place,
    action,
    snapshot: { id, ended, state },
    key,
    ...(note.until === undefined ? {} : { until: note.until }),
    why: note.why,
  };
}

function plannedSnapshot(
  { snapshot, standing, keep, slots, guards, goes }: Decision,
  alone: ReadonlyMap<string, number>,
): PlannedSnapshot {
  const filled = slots.map(({ rule, number, of, oldest }) => {
    return `${rule} ${number} of ${of}${oldest ? " (the oldest there is)" : ""}`;
  });
  const whyNot = standing.fills ? "no rule needs it" : standing.why;
  return {
    id: snapshot.id,
    key: snapshot.key,
    ended: snapshot.ended.toISOString(),
    state: snapshot.state,
    keep,
    reasons: keep ? [...filled, ...guards] : [whyNot],
    slots,
    ...(!standing.fills && standing.quarantined ? { quarantined: standing.why } : {}),
    bytesAlone: alone.get(snapshot.key) ?? 0,
    ...(goes === undefined ? {} : { goes: goes.toISOString() }),
    imagined: isImagined(snapshot),
  };
}

function quarantinedOf({ decisions }: PrunePlan): PruneReport["quarantined"] {
  return decisions.flatMap(({ snapshot: { id, key }, standing }) => {
    return !standing.fills && standing.quarantined ? [{ id, key, why: standing.why }] : [];
  });
}

function oldestOf(decisions: readonly Decision[]): { oldest?: string } {
  const oldest = oldestPoint(decisions);
  return oldest === undefined ? {} : { oldest: oldest.toISOString() };
}

function total(objects: readonly StoredObject[]): { objects: number; bytes: number } {
  return { objects: objects.length, bytes: objects.reduce((sum, { size }) => sum + size, 0) };
}
