/** Restores onto a host: from a date to a run, and from a run to what works on it. */
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { availableParallelism, homedir, hostname, tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { openAccess, policyOf, zoneOf } from "./app-access.ts";
import { doneView, type PlannedRun, plannedView } from "./app-guided-views.ts";
import { handsOf, type SnapshotParts, worldOf } from "./app-guided-world.ts";
import { hostWords, openTarget, rememberedTarget, targetOf } from "./app-target.ts";
import { again } from "./cli/again.ts";
import type { AppContext, SnapshotChoice } from "./cli/app.ts";
import type { ConsentOptions, Guided, GuidedAccess, GuidedOptions } from "./cli/guided-app.ts";
import type { BootstrapReport, FinishReport, GuidedReport, RollbackReport } from "./cli/guided-outputs.ts";
import { planInWords } from "./cli/words/guided.ts";
import type { Host } from "./host/host.ts";
import { openLocalHost } from "./host/local.ts";
import type { Cancel } from "./lib/cancel.ts";
import { DropsError, isFailure } from "./lib/errors.ts";
import { PackPool } from "./pack/pool.ts";
import type { LoadedPolicy } from "./policy/load.ts";
import type { SshPolicy } from "./policy/schema.ts";
import { type ChosenSnapshot, chooseSnapshot, type ReadParts } from "./restore/choose.ts";
import { Answers } from "./restore/guided/answers.ts";
import { closedStore } from "./restore/guided/closed-store.ts";
import { findOpenRun, refuseOpenRun } from "./restore/guided/find-run.ts";
import { finishRun } from "./restore/guided/finish.ts";
import { policyOfTheDay } from "./restore/guided/gather.ts";
import { type Group, groupSources, pathsOf } from "./restore/guided/groups.ts";
import { lockRestore } from "./restore/guided/host-lock.ts";
import type { Journal } from "./restore/guided/journal.ts";
import { operatorRun } from "./restore/guided/operator-runs.ts";
import { DEFAULT_RATES, type PlanFacts, type PlannedStep, planSteps } from "./restore/guided/plan.ts";
import { measuredRates } from "./restore/guided/rates.ts";
import { realPaths } from "./restore/guided/real-paths.ts";
import { rollbackRun } from "./restore/guided/rollback.ts";
import { type GuidedRun, type RunCommands, runGuided } from "./restore/guided/run.ts";
import { metaOf, type RunOf, runOf } from "./restore/guided/run-meta.ts";
import { createRun, findRuns, newRunId, openRun } from "./restore/guided/runs.ts";
import { wantedSources } from "./restore/open-source.ts";

/** Nothing is opened before the first verb asks. */
export async function openGuided(access: GuidedAccess, context: AppContext): Promise<Guided> {
  return new GuidedRestores(access, context);
}

const STATE = "drops";
const NO_STORE = { store: undefined, identities: [], trustedSigners: [], trustUnsigned: false } as const;

class GuidedRestores implements Guided {
  readonly #access: GuidedAccess;
  readonly #context: AppContext;
  readonly #opened = new AsyncDisposableStack();

  constructor(access: GuidedAccess, context: AppContext) {
    this.#access = access;
    this.#context = context;
  }

  async restore(how: GuidedOptions & Cancel): Promise<GuidedReport> {
    const answers = new Answers(how);
    if (!how.dryRun) answers.requireSomeone();
    const read = await this.#read(how);
    return how.resume === undefined ? this.#begin(read, answers, how) : this.#resume(read, answers, how);
  }

  async finish(how: ConsentOptions & { readonly run: string | undefined } & Cancel): Promise<FinishReport> {
    const { closing, parts, run, notes } = await this.#closing(how);
    const { removed } = await finishRun(run, parts, closing);
    return { policy: run.policy, host: run.host, run: run.run, removed: [...removed], notes };
  }

  async rollback(
    how: ConsentOptions & { readonly run: string | undefined } & Cancel,
  ): Promise<RollbackReport> {
    const { closing, parts, run, notes } = await this.#closing(how);
    const { putBack, started, notReady } = await rollbackRun(run, parts, closing);
    const place = { policy: run.policy, host: run.host, run: run.run };
    return { ...place, putBack: [...putBack], started: [...started], notReady: [...notReady], notes };
  }

  async bootstrap(
    how: { readonly choice: SnapshotChoice; readonly to: string } & Cancel,
  ): Promise<BootstrapReport> {
    const { bootstrap } = await import("./restore/guided/bootstrap.ts");
    const { rebuildChoices, revisionOf } = await import("./restore/guided/rebuild-choices.ts");
    const read = await this.#read(how);
    const chosen = await chooseSnapshot(read.parts, how.choice, how);
    const { record } = chosen.snapshot;
    const { policy, day } = await this.#policies(read, chosen, how);
    const { restore } = policy.policy;
    const { sources } = (day ?? policy).policy;
    const parts = { ...read.parts, pool: read.pool, openHost: openLocalHost };
    const made = await bootstrap(parts, { choice: { id: record.id }, to: how.to, restore, sources }, how);
    const restoreCommand = again("restore", { ...this.#access, host: undefined });
    const revision = revisionOf(record);
    const { id, state, started, ended } = record;
    return {
      policy: chosen.policyName,
      store: read.parts.store.label,
      zone: read.parts.zone,
      snapshot: { id, state, started, ended, signature: chosen.signature },
      to: made.to,
      files: made.files.map(({ path, mode, secret }) => {
        return { path, mode: mode.toString(8).padStart(4, "0"), secret };
      }),
      ...(made.flake === undefined ? {} : { flake: made.flake }),
      ...(revision === undefined ? {} : { revision }),
      choices: rebuildChoices({ ...made, snapshot: record, restore, sources, restoreCommand }).map(
        ({ title, commands, notes }) => ({ title, commands: [...commands], notes: [...notes] }),
      ),
      notes: [...chosen.notes, ...made.notes],
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened.disposeAsync();
  }

  async #begin(read: Opened, answers: Answers, how: GuidedOptions & Cancel): Promise<GuidedReport> {
    const { choice = { date: "latest" } } = how;
    const { reporter } = this.#context;
    const chosen = await chooseSnapshot(read.parts, choice, how);
    const { policy, day } = await this.#policies(read, chosen, how);
    const target = await targetOf(this.#access, policy.policy.host);
    const host = this.#opened.use(await openTarget(target, this.#context, how));
    const planned = await this.#plan(read, chosen, { policy, day, target, host }, how);
    const report = plannedView(planned);
    if (how.dryRun) return report;
    const commands = (run: string) => this.#commands(run, target);
    await refuseOpenRun(host, commands, how);
    for (const line of planInWords(report, PLAIN).split("\n")) reporter.say(line);
    const { run } = planned;
    await answers.confirm(
      `bring ${host.label} back to ${chosen.snapshot.record.ended} (snapshot ${run.snapshot.id})? What was made since is lost`,
      "everything",
      how,
    );
    const lock = this.#opened.use(await lockRestore(host, { ...how, who: whoAsks() }));
    const under = { signal: AbortSignal.any([how.signal, lock.lost]) };
    await refuseOpenRun(host, commands, under); // another operator may have begun one meanwhile
    const journal = await createRun(host, metaOf(run), this.#runsHow(under));
    return this.#carryOut(planned, { read, host, journal, answers, commands: commands(run.run) }, under);
  }

  async #resume(read: Opened, answers: Answers, how: GuidedOptions & Cancel): Promise<GuidedReport> {
    const { policy } = read;
    const target = await this.#targetAgain(how.resume === true ? undefined : how.resume, policy, how);
    const host = this.#opened.use(await openTarget(target, this.#context, how));
    const lock = this.#opened.use(await lockRestore(host, { ...how, who: whoAsks() }));
    const under = { signal: AbortSignal.any([how.signal, lock.lost]) };
    const which = how.resume === true ? undefined : how.resume;
    const found = await findOpenRun(host, which, { ...under, policy: read.policy?.policy.name });
    const { meta, journal } = await openRun(host, found.meta.run, this.#runsHow(under));
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
    const planned = this.#plannedAgain(read, chosen, run);
    if (how.dryRun) return plannedView(planned);
    this.#context.reporter.say(
      `going on with restore ${run.run} of snapshot ${run.snapshot.id} on ${host.label}`,
    );
    const commands = this.#commands(run.run, target);
    return this.#carryOut(planned, { read, host, journal, answers, commands }, under);
  }

  async #carryOut(planned: PlannedRun, work: Work, how: Cancel): Promise<GuidedReport> {
    const { run, grouped, steps } = planned;
    const { read, host, journal, answers, commands } = work;
    const { reporter, now } = this.#context;
    const groups = grouped.groups;
    const scratch = await this.#scratch();
    const world = worldOf({ host, run, groups, journal, read: { ...read.parts, pool: read.pool }, scratch });
    const outcome = await runGuided(
      guidedRun(run, groups, steps),
      { world, answers, teller: reporter, now, commands },
      how,
    );
    const report = doneView(planned, outcome, commands);
    return { ...report, notes: [...report.notes, ...journal.notes] };
  }

  async #plan(
    read: Opened,
    chosen: ChosenSnapshot,
    at: Place,
    how: GuidedOptions & Cancel,
  ): Promise<PlannedRun> {
    const { policy, day, target, host } = at;
    const { record } = chosen.snapshot;
    wantedSources(record, how.only); // refuses names that there are none of
    const { restore } = policy.policy;
    const sources = (day ?? policy).policy.sources;
    const grouped = groupSources(sources, record, how.only, restore.bootstrap);
    if (grouped.groups.length === 0)
      throw new DropsError("usage/invalid", "there is nothing to put in place", {
        hint:
          grouped.leftOut.map(({ source, why }) => `${source}: ${why}`).join("\n") || "drops show SNAPSHOT",
      });
    const paths = sources.flatMap(pathsOf);
    const run: RunOf = {
      run: newRunId(this.#context.now(), (bytes) => randomBytes(bytes)),
      policy: chosen.policyName,
      started: this.#context.now().toISOString(),
      host: host.label,
      target: rememberedTarget(target),
      restore,
      rto: policy.policy.rto,
      sources,
      snapshot: record,
      only: how.only,
      steps: how.steps,
      oldAddresses: oldAddresses(policy, target, record.host),
      realPaths: await realPaths(host, paths, how),
    };
    const { runs } = await findRuns(host, how);
    const rates = measuredRates(runs.flatMap(({ lines }) => lines));
    return {
      ...this.#plannedAgain(read, chosen, run),
      grouped,
      steps: planSteps({ ...factsOf(run, grouped.groups), rates }),
    };
  }

  #plannedAgain(read: Opened, chosen: ChosenSnapshot, run: RunOf): PlannedRun {
    const grouped = groupSources(run.sources, run.snapshot, run.only, run.restore.bootstrap);
    return {
      run,
      chosen,
      grouped,
      steps: planSteps({ ...factsOf(run, grouped.groups), rates: DEFAULT_RATES }),
      store: read.parts.store.label,
      zone: read.parts.zone,
      notes: [],
    };
  }

  /** What a rollback and a finish work on: the host alone. */
  async #closing(how: ConsentOptions & { readonly run: string | undefined } & Cancel) {
    const answers = new Answers({ ...how, fenced: false });
    answers.requireSomeone();
    const policy = await this.#policyIfThere();
    const target = await this.#targetAgain(how.run, policy, how);
    const host = this.#opened.use(await openTarget(target, this.#context, how));
    const lock = this.#opened.use(await lockRestore(host, { ...how, who: whoAsks() }));
    const closing = { signal: AbortSignal.any([how.signal, lock.lost]) };
    const found = await findOpenRun(host, how.run, { ...closing, policy: policy?.policy.name });
    const { meta, journal } = await openRun(host, found.meta.run, this.#runsHow(closing));
    const of = runOf(meta);
    const { groups } = groupSources(of.sources, of.snapshot, of.only, of.restore.bootstrap);
    const read: SnapshotParts = {
      store: closedStore(),
      policyName: of.policy,
      trust: { signers: [], allowUnsigned: false },
      identities: [],
      zone: "UTC",
      now: this.#context.now,
      say: (line) => this.#context.reporter.say(line),
      pool: this.#opened.use(new PackPool(1)),
    };
    const world = handsOf({ host, run: of, groups, journal, read, scratch: await this.#scratch() });
    const commands = this.#commands(of.run, target);
    const run = guidedRun(of, groups, planSteps({ ...factsOf(of, groups), rates: DEFAULT_RATES }));
    const parts = { world, answers, teller: this.#context.reporter, commands };
    return { closing, parts, run: { ...run, policy: of.policy }, notes: [...journal.notes] };
  }

  async #read(how: Cancel): Promise<Opened> {
    const policy = await policyOf(this.#access, this.#context);
    const access = await openAccess(this.#access, policy, this.#context);
    this.#opened.use(access.store);
    const parts = { ...access.parts, zone: await zoneOf(access, how) };
    const pool = this.#opened.use(new PackPool(Math.max(2, Math.min(4, availableParallelism()))));
    return { policy, parts, pool };
  }

  /** The one that says where and how, and the one of that day, which says what was captured from where. */
  async #policies(read: Opened, chosen: ChosenSnapshot, how: Cancel) {
    const day = await policyOfTheDay(read.parts, chosen.snapshot.record, how);
    const policy = read.policy ?? day;
    if (policy) return { policy, day };
    throw new DropsError(
      "policy/invalid",
      `the policy in snapshot ${chosen.snapshot.record.id} is none for this version of drops`,
      { hint: "write it anew and give it: --policy FILE" },
    );
  }

  /** The machine of a run: as it is said, else as this operator began the run, else the policy's. */
  async #targetAgain(run: string | undefined, policy: LoadedPolicy | undefined, how: Cancel) {
    const { host, hostKey } = this.#access;
    const policyHost = policy?.policy.host;
    if (host !== undefined) return targetOf(this.#access, policyHost);
    const begun = await operatorRun(this.#runsHow(how).state, { policy: policy?.policy.name, run });
    if (!begun) return targetOf(this.#access, policyHost);
    const { target } = begun;
    if (target === "local") return targetOf({ ...this.#access, host: "local" }, policyHost);
    const words = hostWords(target);
    return targetOf({ ...this.#access, host: words, hostKey: hostKey ?? target.host_key }, policyHost);
  }

  /** A host is enough to close a run on it. */
  async #policyIfThere(): Promise<LoadedPolicy | undefined> {
    try {
      return await policyOf(this.#access, this.#context);
    } catch (error) {
      const isNeeded = this.#access.host === undefined || this.#access.policy !== undefined;
      if (isNeeded || !isFailure(error, "usage/invalid")) throw error;
      return undefined;
    }
  }

  #commands(run: string, target: "local" | SshPolicy): RunCommands {
    const access = this.#access;
    const place = target === "local" ? "local" : hostWords(target);
    const alone = { ...access, ...NO_STORE };
    const closing = {
      ...alone,
      host: access.host ?? place,
      ...(access.store === undefined ? {} : { policy: undefined }),
    };
    return {
      resume: `${again("restore", { ...access, host: access.host ?? place })} --resume ${run}`,
      rollback: `${again("rollback", closing)} --run ${run}`,
      finish: `${again("restore", closing)} --finish ${run}`,
    };
  }

  #runsHow(how: Cancel) {
    const { env, now } = this.#context;
    const home = env["HOME"] ?? homedir();
    const state = join(env["XDG_STATE_HOME"] ?? join(home, ".local", "state"), STATE);
    return { ...how, state, now };
  }

  async #scratch(): Promise<string> {
    const directory = await mkdtemp(join(tmpdir(), ".drops-restore-"));
    this.#opened.defer(() => rm(directory, { recursive: true, force: true }));
    return directory;
  }
}

interface Opened {
  readonly policy: LoadedPolicy | undefined;
  readonly parts: ReadParts;
  readonly pool: PackPool;
}

interface Place {
  readonly policy: LoadedPolicy;
  readonly day: LoadedPolicy | undefined;
  readonly target: "local" | SshPolicy;
  readonly host: Host;
}

interface Work {
  readonly read: Opened;
  readonly host: Host;
  readonly journal: Journal;
  readonly answers: Answers;
  readonly commands: RunCommands;
}

const same = (text: string): string => text;
const PLAIN = { bold: same, dim: same, red: same, green: same, yellow: same };

function factsOf(run: RunOf, groups: readonly Group[]): Omit<PlanFacts, "rates"> {
  const { restore, host, oldAddresses, steps } = run;
  const realPath = (path: string) => run.realPaths[path] ?? path;
  return { run: run.run, restore, groups, host, oldAddresses, steps, realPath };
}

function guidedRun(run: RunOf, groups: readonly Group[], steps: readonly PlannedStep[]): GuidedRun {
  const { started, host, restore, oldAddresses } = run;
  return { run: run.run, started, host, restore, oldAddresses, groups, steps };
}

/** What an operator has mended in the policy since counts, as long as gate and units are those that the run began with. */
function freshest({ restore }: RunOf, policy: LoadedPolicy | undefined): RunOf["restore"] {
  const now = policy?.policy.restore;
  const units = (of: RunOf["restore"]) => of.units.map(({ unit }) => unit).join(" ");
  if (!now || now.gate !== restore.gate || units(now) !== units(restore)) return restore;
  return { ...now, bootstrap: restore.bootstrap };
}

/** Where the backed-up machine was, unless it is the very one that is restored onto. */
function oldAddresses(
  { policy }: LoadedPolicy,
  target: "local" | SshPolicy,
  facts: Readonly<Record<string, string>>,
): readonly string[] {
  if (policy.host === "local") {
    const { hostname: name = "" } = facts;
    return target !== "local" && name.includes(".") ? [name] : [];
  }
  const { address, port } = policy.host.ssh;
  const isSame = target !== "local" && target.address === address && target.port === port;
  return isSame ? [] : [address];
}

/** For the sentence that another operator gets. */
function whoAsks(): string {
  try {
    return `${userInfo().username} on ${hostname()}`;
  } catch {
    return `somebody on ${hostname()}`; // a user id without a name
  }
}
