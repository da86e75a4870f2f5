/** A guided restore, as the command line tells it. */

import { milliseconds } from "../lib/units.ts";
import type { ChosenSnapshot } from "../restore/choose.ts";
import type { RunOf } from "./journal/run-meta.ts";
import type { Grouped } from "./plan/groups.ts";
import type { PlannedStep } from "./plan/plan.ts";
import type { GuidedReport, GuidedStep } from "./report.ts";
import type { RunCommands, RunOutcome } from "./run/run.ts";

export interface PlannedRun {
  readonly run: RunOf;
  readonly chosen: ChosenSnapshot;
  readonly grouped: Grouped;
  readonly steps: readonly PlannedStep[];
  readonly store: string;
  readonly zone: string;
  readonly notes: readonly string[];
}

/** What will be done. */
export function plannedView(planned: PlannedRun): GuidedReport {
  const { run, chosen, grouped, steps, store, zone, notes } = planned;
  const { id, state, started, ended } = chosen.snapshot.record;
  return {
    policy: run.policy,
    store,
    zone,
    host: run.host,
    run: run.run,
    dryRun: true,
    snapshot: { id, state, started, ended, signature: chosen.signature },
    ageSeconds: chosen.ageSeconds,
    lost: { since: ended, snapshots: chosen.newer.flatMap(({ record }) => newerView(record)) },
    steps: steps.map(stepView),
    leftOut: grouped.leftOut,
    bytes: steps.reduce((sum, { bytes }) => sum + bytes, 0),
    expectedSeconds: steps.reduce((sum, { expectedSeconds }) => sum + expectedSeconds, 0),
    rtoSeconds: milliseconds(run.rto) / 1000,
    notes: [...chosen.notes, ...grouped.notes, ...notes],
    next: [],
  };
}

/** What was done. */
export function doneView(planned: PlannedRun, outcome: RunOutcome, commands: RunCommands): GuidedReport {
  const report = plannedView(planned);
  const { secondsToStarted } = outcome;
  return {
    ...report,
    dryRun: false,
    steps: report.steps.map((step) => {
      const done = outcome.steps.find(({ id }) => id === step.id);
      if (!done) return step;
      return {
        ...step,
        outcome: done.outcome,
        seconds: done.seconds,
        checks: done.checks,
        answers: done.answers,
        notes: done.notes,
      };
    }),
    ...(secondsToStarted === undefined ? {} : { secondsToStarted }),
    next: [
      ...(secondsToStarted === undefined ? [] : [`when all is well: ${commands.finish}`]),
      `to put the old back: ${commands.rollback}`,
      "drops backup",
    ],
  };
}

function stepView(step: PlannedStep): GuidedStep {
  const { id, number, title, actions, bytes, expectedSeconds } = step;
  return {
    id,
    number,
    title,
    outcome: "planned",
    actions,
    bytes,
    expectedSeconds,
    checks: [],
    answers: [],
    notes: [],
  };
}

type Newer = GuidedReport["lost"]["snapshots"];

function newerView({ id, state, ended, sources }: ChosenSnapshot["snapshot"]["record"]): Newer {
  if (state === "checkpoint") return [];
  const held = sources.filter(({ manifest }) => manifest);
  return [
    {
      id,
      state,
      ended,
      sources: held.map(({ name, bytes = 0, read_bytes = 0 }) => ({ name, bytes, readBytes: read_bytes })),
    },
  ];
}
