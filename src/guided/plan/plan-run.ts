/** From a snapshot and a machine to what will be done there. */
import { randomBytes } from "node:crypto";
import type { Host } from "../../host/host.ts";
import { hostFacts } from "../../host/host-facts.ts";
import type { Cancel } from "../../lib/cancel.ts";
import { DropsError } from "../../lib/errors.ts";
import type { PackPool } from "../../pack/pool.ts";
import type { LoadedPolicy } from "../../policy/load.ts";
import type { Policy } from "../../policy/schema.ts";
import type { ChosenSnapshot, ReadParts } from "../../restore/choose.ts";
import { wantedSources } from "../../restore/open-source.ts";
import { incomplete } from "../../restore/restore.ts";
import { realPaths } from "../../source/real-paths.ts";
import { pathsOf } from "../../source/scope.ts";
import type { RunOf } from "../journal/run-meta.ts";
import { findRuns, newRunId } from "../journal/runs.ts";
import type { GuidedOptions } from "../report.ts";
import type { GuidedRun } from "../run/guided-run.ts";
import { oldMachine } from "../run/old-machine.ts";
import type { PlannedRun } from "../run-report.ts";
import { type RestoreTarget, rememberedTarget } from "../target.ts";
import { asCaptured, policyOfTheDay } from "./gather.ts";
import { type Grouped, groupSources, type LeadsTo, type ReplacementGroup } from "./groups.ts";
import { type PlannedStep, planSteps } from "./plan.ts";
import type { PlanFacts } from "./plan-facts.ts";
import { DEFAULT_RATES, measuredRates } from "./rates.ts";

/** A repository that was opened for reading. */
export interface OpenedRepository {
  readonly policy: LoadedPolicy | undefined;
  readonly parts: ReadParts;
  readonly pool: PackPool;
}

/** The policy that says where and how, and the one of that day, which says what was captured from where. */
export interface Policies {
  readonly policy: LoadedPolicy;
  readonly day: LoadedPolicy | undefined;
}

export interface PlanPlace extends Policies {
  readonly target: RestoreTarget;
  readonly host: Host;
  /** The policy's machine and this one by their addresses. */
  readonly places: { readonly old: Policy["host"]; readonly onto: RestoreTarget };
}

/** Throws policy/invalid when there is neither. */
export async function policiesOf(
  read: OpenedRepository,
  chosen: ChosenSnapshot,
  how: Cancel,
): Promise<Policies> {
  const day = await policyOfTheDay(read.parts, chosen.snapshot.record, how);
  const policy = read.policy ?? day;
  if (policy) return { policy, day };
  throw new DropsError(
    "policy/invalid",
    `the policy in snapshot ${chosen.snapshot.record.id} does not work with this version of drops`,
    { hint: "write a new policy and use it: --policy FILE" },
  );
}

/** Looks at the host, and changes nothing. Throws usage/invalid when nothing would be put in place. */
export async function planRun(
  read: OpenedRepository,
  chosen: ChosenSnapshot,
  at: PlanPlace,
  how: GuidedOptions & { readonly now: () => Date } & Cancel,
): Promise<PlannedRun> {
  const { policy, day, target, host } = at;
  const { record } = chosen.snapshot;
  wantedSources(record, how.only); // refuses names that there are none of
  const { restore } = policy.policy;
  const captured = await asCaptured(read.parts, record, (day ?? policy).policy.sources, how);
  const { sources } = captured;
  const found = { ...captured, realPaths: await realPaths(host, sources.flatMap(pathsOf), how) };
  const grouped = groupSources(sources, record, how.only, restore.bootstrap, leadsTo(found));
  if (grouped.groups.length === 0)
    throw new DropsError("usage/invalid", "there is nothing to restore", {
      hint: grouped.leftOut.map(({ source, why }) => `${source}: ${why}`).join("\n") || "drops show SNAPSHOT",
    });
  const is = await hostFacts(host, [], how);
  const old = oldMachine(at.places.old, at.places.onto, { was: record.host, is });
  const run: RunOf = {
    run: newRunId(how.now(), (bytes) => randomBytes(bytes)),
    policy: chosen.policyName,
    started: how.now().toISOString(),
    host: host.label,
    target: rememberedTarget(target),
    restore,
    rto: policy.policy.rto,
    snapshot: record,
    only: how.only,
    steps: how.steps,
    oldMachine: old.name,
    oldAddresses: old.addresses,
    ...found,
  };
  const { runs } = await findRuns(host, how);
  const rates = measuredRates(runs.flatMap(({ lines }) => lines));
  return {
    ...plannedAgain(read, chosen, run),
    grouped,
    steps: planSteps({ ...factsOf(run, grouped.groups), rates }),
  };
}

/** The same plan for a run that was begun before. Pure. */
export function plannedAgain(read: OpenedRepository, chosen: ChosenSnapshot, run: RunOf): PlannedRun {
  const grouped = groupsOf(run);
  return {
    run,
    chosen,
    grouped,
    steps: planSteps({ ...factsOf(run, grouped.groups), rates: DEFAULT_RATES }),
    store: read.parts.store.label,
    zone: read.parts.zone,
    notes: incomplete(
      run.snapshot.sources.filter(({ name }) => run.only.length === 0 || run.only.includes(name)),
    ),
  };
}

/** What a run replaces, whoever goes on with it. Pure. */
export function groupsOf(run: RunOf): Grouped {
  return groupSources(run.sources, run.snapshot, run.only, run.restore.bootstrap, leadsTo(run));
}

function leadsTo({ realPaths, capturedPaths }: Pick<RunOf, "realPaths" | "capturedPaths">): LeadsTo {
  return (path) => [realPaths, capturedPaths].flatMap((found) => found[path] ?? []);
}

export function factsOf(run: RunOf, groups: readonly ReplacementGroup[]): Omit<PlanFacts, "rates"> {
  const { restore, host, oldMachine: old, oldAddresses, steps } = run;
  const realPath = (path: string) => run.realPaths[path] ?? path;
  return { run: run.run, restore, groups, host, oldMachine: old, oldAddresses, steps, realPath };
}

export function guidedRun(
  run: RunOf,
  groups: readonly ReplacementGroup[],
  steps: readonly PlannedStep[],
): GuidedRun {
  const { started, host, restore, oldAddresses } = run;
  return { run: run.run, started, host, restore, oldAddresses, groups, steps };
}

/** What an operator has mended in the policy since counts, as long as gate and units are those that the run began with. */
export function freshest({ restore }: RunOf, policy: LoadedPolicy | undefined): RunOf["restore"] {
  const now = policy?.policy.restore;
  const units = (of: RunOf["restore"]) => of.units.map(({ unit }) => unit).join(" ");
  if (!now || now.gate !== restore.gate || units(now) !== units(restore)) return restore;
  return { ...now, bootstrap: restore.bootstrap };
}
