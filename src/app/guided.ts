/** Restores onto a host: from a date to a run, and from a run to what works on it. */

import type { Guided } from "../cli/app.ts";
import { abandonUntouched, findOpenRun, refuseOpenRun } from "../guided/journal/find-run.ts";
import type { Journal } from "../guided/journal/journal.ts";
import { metaOf, type RunOf, runOf } from "../guided/journal/run-meta.ts";
import { createRun, openRun } from "../guided/journal/runs.ts";
import { planSteps } from "../guided/plan/plan.ts";
import {
  factsOf,
  freshest,
  groupsOf,
  guidedRun,
  type OpenedRepository,
  plannedAgain,
  planRun,
  policiesOf,
} from "../guided/plan/plan-run.ts";
import { DEFAULT_RATES } from "../guided/plan/rates.ts";
import type {
  BootstrapReport,
  ConsentOptions,
  FinishReport,
  GuidedOptions,
  GuidedReport,
  RollbackReport,
} from "../guided/report.ts";
import { Answers } from "../guided/run/answers.ts";
import { closedStore } from "../guided/run/closed-store.ts";
import { finishRun } from "../guided/run/finish.ts";
import { restorePorts, rollbackPorts } from "../guided/run/host-ports.ts";
import type { SnapshotParts } from "../guided/run/replacements.ts";
import { rollbackRun } from "../guided/run/rollback.ts";
import { type RunCommands, runGuided } from "../guided/run/run.ts";
import { doneView, type PlannedRun, plannedView } from "../guided/run-report.ts";
import { hostOf, targetOf } from "../guided/target.ts";
import type { Host } from "../host/host.ts";
import type { GuidedAccess } from "../lib/access.ts";
import type { Cancel } from "../lib/cancel.ts";
import type { AppContext } from "../lib/context.ts";
import type { Policy } from "../policy/schema.ts";
import { wallTime } from "../policy/zone.ts";
import { chooseSnapshot, type SnapshotChoice } from "../restore/choose.ts";
import { explaining } from "../restore/explaining.ts";
import { trustOf } from "../trust/trust.ts";
import { GuidedSession } from "./guided-session.ts";
import { addressed } from "./host.ts";

type ClosingOptions = ConsentOptions & { readonly run: string | undefined } & Cancel;

/** Nothing is opened before the first verb asks. */
export async function openGuided(access: GuidedAccess, context: AppContext): Promise<Guided> {
  return new GuidedRestores(access, context);
}

class GuidedRestores implements Guided {
  readonly #session: GuidedSession;

  constructor(access: GuidedAccess, context: AppContext) {
    this.#session = new GuidedSession(access, context);
  }

  async restore(how: GuidedOptions & Cancel): Promise<GuidedReport> {
    const answers = new Answers(how);
    if (!how.dryRun) answers.requireSomeone();
    const read = await this.#session.read(how);
    return explaining(read.parts, () =>
      how.resume === undefined ? this.#begin(read, answers, how) : this.#resume(read, answers, how),
    );
  }

  async finish(how: ClosingOptions): Promise<FinishReport> {
    const { closing, parts, run, notes } = await this.#closing(how);
    const { removed } = await finishRun(run, parts, closing);
    return { policy: run.policy, host: run.host, run: run.run, removed, notes };
  }

  async rollback(how: ClosingOptions): Promise<RollbackReport> {
    const { closing, parts, run, notes } = await this.#closing(how);
    const { putBack, started, notReady } = await rollbackRun(run, parts, closing);
    const place = { policy: run.policy, host: run.host, run: run.run };
    return { ...place, putBack, started, notReady, notes };
  }

  async bootstrap(
    how: { readonly choice: SnapshotChoice; readonly to: string } & Cancel,
  ): Promise<BootstrapReport> {
    const { bootstrapInto } = await import("./guided-bootstrap.ts");
    return bootstrapInto(this.#session, how);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session[Symbol.asyncDispose]();
  }

  async #begin(read: OpenedRepository, answers: Answers, how: GuidedOptions & Cancel): Promise<GuidedReport> {
    const { choice = { date: "latest" } } = how;
    const chosen = await chooseSnapshot(read.parts, choice, how);
    const { policy, day } = await policiesOf(read, chosen, how);
    const target = await targetOf(this.#session.access, policy.policy.host);
    const host = await this.#session.open(target, how);
    const addressOf = (one: Policy["host"]) => addressed(one, this.#session.context, how);
    const onto = await addressOf(hostOf(target));
    const places = { old: await addressOf(policy.policy.host), onto: onto === "local" ? onto : onto.ssh };
    const planned = await planRun(
      read,
      chosen,
      { policy, day, target, host, places },
      { ...how, now: this.#session.context.now },
    );
    const report = plannedView(planned);
    if (how.dryRun) return report;
    const commands = (run: string) => this.#session.commands(run, target);
    await refuseOpenRun(host, commands, how);
    await how.onPlanned?.(report);
    const { run } = planned;
    await answers.confirm(
      `bring ${host.label} back to ${wallTime(new Date(chosen.snapshot.record.ended), read.parts.zone)} (snapshot ${run.snapshot.id})? What was made since is lost`,
      "everything",
      how,
    );
    const under = await this.#session.lock(host, how);
    await refuseOpenRun(host, commands, under); // another operator may have begun one meanwhile
    await abandonUntouched(host, this.#session.runsHow(under));
    const journal = await createRun(host, metaOf(run), this.#session.runsHow(under));
    return this.#carryOut(planned, { read, host, journal, answers, commands: commands(run.run) }, under);
  }

  async #resume(
    read: OpenedRepository,
    answers: Answers,
    how: GuidedOptions & Cancel,
  ): Promise<GuidedReport> {
    const { policy } = read;
    const target = await this.#session.targetAgain(how.resume === true ? undefined : how.resume, policy, how);
    const host = await this.#session.open(target, how);
    const under = await this.#session.lock(host, how);
    const which = how.resume === true ? undefined : how.resume;
    const found = await findOpenRun(host, which, { ...under, policy: read.policy?.policy.name });
    const { meta, journal } = await openRun(host, found.meta.run, this.#session.runsHow(under));
    const remembered = runOf(meta);
    const chosen = await chooseSnapshot(
      { ...read.parts, policyName: remembered.policy },
      { id: remembered.snapshot.id },
      under,
    );
    const run: RunOf = {
      ...remembered,
      restore: freshest(remembered, read.policy),
      snapshot: chosen.snapshot.record,
      steps: how.steps.length > 0 ? how.steps : remembered.steps,
    };
    const planned = plannedAgain(read, chosen, run);
    if (how.dryRun) return plannedView(planned);
    this.#session.context.reporter.say(
      `going on with restore ${run.run} of snapshot ${run.snapshot.id} on ${host.label}`,
    );
    const commands = this.#session.commands(run.run, target);
    return this.#carryOut(planned, { read, host, journal, answers, commands }, under);
  }

  async #carryOut(planned: PlannedRun, work: Work, how: Cancel): Promise<GuidedReport> {
    const { run, grouped, steps } = planned;
    const { read, host, journal, answers, commands } = work;
    const { reporter, now } = this.#session.context;
    const groups = grouped.groups;
    const scratch = await this.#session.scratch();
    const ports = restorePorts({
      host,
      run,
      groups,
      journal,
      read: { ...read.parts, pool: read.pool },
      scratch,
    });
    const outcome = await runGuided(
      guidedRun(run, groups, steps),
      { ports, answers, reporter, now, commands },
      how,
    );
    const report = doneView(planned, outcome, commands);
    return { ...report, notes: [...report.notes, ...journal.notes] };
  }

  /** What a rollback and a finish work on: the host alone. */
  async #closing(how: ConsentOptions & { readonly run: string | undefined } & Cancel) {
    const answers = new Answers({ ...how, fenced: false });
    answers.requireSomeone();
    const policy = await this.#session.policyIfThere();
    const target = await this.#session.targetAgain(how.run, policy, how);
    const host = await this.#session.open(target, how);
    const closing = await this.#session.lock(host, how);
    const found = await findOpenRun(host, how.run, { ...closing, policy: policy?.policy.name });
    const { meta, journal } = await openRun(host, found.meta.run, this.#session.runsHow(closing));
    const of = runOf(meta);
    const { groups } = groupsOf(of);
    const read: SnapshotParts = {
      store: closedStore(),
      policyName: of.policy,
      trust: trustOf(undefined),
      identities: [],
      zone: "UTC",
      now: this.#session.context.now,
      say: (line) => this.#session.context.reporter.say(line),
      pool: this.#session.pool(1),
    };
    const ports = rollbackPorts({
      host,
      run: of,
      groups,
      journal,
      read,
      scratch: await this.#session.scratch(),
    });
    const commands = this.#session.commands(of.run, target);
    const run = guidedRun(of, groups, planSteps({ ...factsOf(of, groups), rates: DEFAULT_RATES }));
    const parts = { ports, answers, reporter: this.#session.context.reporter, commands };
    return { closing, parts, run: { ...run, policy: of.policy }, notes: [...journal.notes] };
  }
}

interface Work {
  readonly read: OpenedRepository;
  readonly host: Host;
  readonly journal: Journal;
  readonly answers: Answers;
  readonly commands: RunCommands;
}
