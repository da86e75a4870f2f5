import type { Prompt } from "../guided/run/answers.ts";
import type { StepId } from "../guided/run/steps.ts";
import type { Cancel } from "../lib/cancel.ts";
import type { ReadAccess, SnapshotChoice } from "./app.ts";
import type { BootstrapReport, FinishReport, GuidedReport, RollbackReport } from "./guided-outputs.ts";

/** From a policy, or from a store and an identity alone; and the machine to work on. */
export interface GuidedAccess extends ReadAccess {
  /** `user@address:port`, `address`, or `local`; undefined: the policy's host. */
  readonly host: string | undefined;
  /** Private key file; undefined: the policy's, else the agent. */
  readonly sshKey: string | undefined;
  /** A public key line that the machine must show. */
  readonly hostKey: string | undefined;
}

export interface ConsentOptions {
  /** Go on without asking; never answers the fence. */
  readonly yes: boolean;
  /** Undefined when there is no terminal. */
  readonly prompt: Prompt | undefined;
}

export interface GuidedOptions extends ConsentOptions {
  /** Undefined when a run is resumed. */
  readonly choice: SnapshotChoice | undefined;
  /** Sources; empty means all. */
  readonly only: readonly string[];
  readonly steps: readonly StepId[];
  readonly dryRun: boolean;
  readonly fenced: boolean;
  /** A run's id, or `true` for the only one that is open. */
  readonly resume: string | true | undefined;
}

/** Restores onto a host. */
export interface Guided extends AsyncDisposable {
  /** Throws the failure of a step, with what continues it as its hint. */
  restore(how: GuidedOptions & Cancel): Promise<GuidedReport>;
  /** Remove the old data that a run kept. `run`: its id; undefined: the only one that is open. */
  finish(how: ConsentOptions & { readonly run: string | undefined } & Cancel): Promise<FinishReport>;
  /** Needs no store and no identity. */
  rollback(how: ConsentOptions & { readonly run: string | undefined } & Cancel): Promise<RollbackReport>;
  /** What a machine needs before its first boot, into a new directory here. */
  bootstrap(how: { readonly choice: SnapshotChoice; readonly to: string } & Cancel): Promise<BootstrapReport>;
}
