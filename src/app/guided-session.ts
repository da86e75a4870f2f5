/** What the verbs of a guided restore share: what was opened, for whom, and is closed again. */
import { mkdtemp, rm } from "node:fs/promises";
import { availableParallelism, homedir, hostname, tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { again } from "../guided/again.ts";
import { lockRestore } from "../guided/journal/host-lock.ts";
import { operatorTarget } from "../guided/journal/operator-runs.ts";
import type { RunsHow } from "../guided/journal/runs.ts";
import type { OpenedRepository } from "../guided/plan/plan-run.ts";
import type { RunCommands } from "../guided/run/run.ts";
import { hostOf, type RestoreTarget, targetOf } from "../guided/target.ts";
import type { Host } from "../host/host.ts";
import type { GuidedAccess } from "../lib/access.ts";
import type { Cancel } from "../lib/cancel.ts";
import type { AppContext } from "../lib/context.ts";
import { isFailure } from "../lib/errors.ts";
import { ownDirectory } from "../lib/own-directory.ts";
import { PackPool } from "../pack/pool.ts";
import { hostWords } from "../policy/host-words.ts";
import type { LoadedPolicy } from "../policy/load.ts";
import { openAccess, policyOf, zoneOf } from "./access.ts";
import { openHost } from "./host.ts";

const NO_STORE = { store: undefined, identities: [], trustedSigners: [], trustUnsigned: false } as const;

export class GuidedSession implements AsyncDisposable {
  readonly access: GuidedAccess;
  readonly context: AppContext;
  readonly #opened = new AsyncDisposableStack();

  constructor(access: GuidedAccess, context: AppContext) {
    this.access = access;
    this.context = context;
  }

  async read(how: Cancel): Promise<OpenedRepository> {
    const policy = await policyOf(this.access, this.context);
    const access = await openAccess(this.access, policy, this.context);
    this.#opened.use(access.store);
    const parts = { ...access.parts, zone: await zoneOf(access, how) };
    return { policy, parts, pool: this.pool(Math.max(2, Math.min(4, availableParallelism()))) };
  }

  pool(threads: number): PackPool {
    return this.#opened.use(new PackPool(threads));
  }

  async open(target: RestoreTarget, how: Cancel): Promise<Host> {
    return this.#opened.use(await openHost(hostOf(target), this.context, how));
  }

  /** One operator at a time, from now on; `signal` is also aborted when the lock is lost. */
  async lock(host: Host, how: Cancel): Promise<Cancel> {
    const lock = this.#opened.use(await lockRestore(host, { ...how, who: whoAsks() }));
    return { signal: AbortSignal.any([how.signal, lock.lost]) };
  }

  /** A directory of this machine. */
  async scratch(): Promise<string> {
    const place = await ownDirectory(tmpdir(), { instead: "TMPDIR=/var/tmp" });
    const directory = await mkdtemp(join(place, ".drops-restore-"));
    this.#opened.defer(() => rm(directory, { recursive: true, force: true }));
    return directory;
  }

  runsHow(how: Cancel): RunsHow {
    const { env, now } = this.context;
    const home = env["HOME"] ?? homedir();
    const state = join(env["XDG_STATE_HOME"] ?? join(home, ".local", "state"), "drops");
    return { ...how, state, now };
  }

  /** The machine of a run: as it is said, else as this operator began the run, else the policy's. */
  async targetAgain(
    run: string | undefined,
    policy: LoadedPolicy | undefined,
    how: Cancel,
  ): Promise<RestoreTarget> {
    const { host, hostKey } = this.access;
    const policyHost = policy?.policy.host;
    if (host !== undefined) return targetOf(this.access, policyHost);
    const target = await operatorTarget(this.runsHow(how).state, { policy: policy?.policy.name, run });
    if (target === undefined) return targetOf(this.access, policyHost);
    if (target === "local") return targetOf({ ...this.access, host: "local" }, policyHost);
    const words = hostWords(target);
    return targetOf({ ...this.access, host: words, hostKey: hostKey ?? target.host_key }, policyHost);
  }

  /** A host is enough to close a run on it. */
  async policyIfThere(): Promise<LoadedPolicy | undefined> {
    try {
      return await policyOf(this.access, this.context);
    } catch (error) {
      const isNeeded = this.access.host === undefined || this.access.policy !== undefined;
      if (isNeeded || !isFailure(error, "usage/invalid")) throw error;
      return undefined;
    }
  }

  /** Whole commands for hints. Closing a run needs neither store nor identity. */
  commands(run: string, target: RestoreTarget): RunCommands {
    const access = this.access;
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

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened.disposeAsync();
  }
}

/** For the sentence that another operator gets. */
function whoAsks(): string {
  try {
    return `${userInfo().username} on ${hostname()}`;
  } catch {
    return `somebody on ${hostname()}`; // a user id without a name
  }
}
