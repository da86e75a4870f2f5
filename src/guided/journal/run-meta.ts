import * as z from "zod";
import { DropsError } from "../../lib/errors.ts";
import { Duration } from "../../policy/fields.ts";
import { Restore } from "../../policy/restore-schema.ts";
import { type RestorePolicy, Source, type SourcePolicy, Ssh, type SshPolicy } from "../../policy/schema.ts";
import { decodeRecord, encodeRecord, type SnapshotRecord } from "../../snapshot/record.ts";
import { STEPS, type StepId } from "../run/steps.ts";
import type { RunMeta } from "./runs.ts";

/** How the machine of a run is reached, for whoever goes on; never a key. */
export type RunTarget = "local" | Pick<SshPolicy, "address" | "port" | "user" | "host_key">;

/** What a run needs to be continued or taken back by anybody who reaches the host, without policy file or store. */
export interface RunOf {
  readonly run: string;
  readonly policy: string;
  readonly started: string;
  readonly host: string;
  readonly target: RunTarget;
  readonly restore: RestorePolicy;
  /** Of the policy: how long it may take, `2h`. */
  readonly rto: string;
  /** Of the policy as it was when the snapshot was made. */
  readonly sources: readonly SourcePolicy[];
  readonly snapshot: SnapshotRecord;
  /** Chosen; empty means all. */
  readonly only: readonly string[];
  readonly steps: readonly StepId[];
  /** What the machine of the snapshot calls itself, when it is another one. */
  readonly oldMachine: string | undefined;
  readonly oldAddresses: readonly string[];
  readonly realPaths: Readonly<Record<string, string>>;
  /** Where paths of the policy led to on the machine that was captured, as far as symlinks were on the way. */
  readonly capturedPaths: Readonly<Record<string, string>>;
}

const TargetShape = z.union([
  z.literal("local"),
  Ssh.pick({ address: true, port: true, user: true, host_key: true }),
]);

const More = z.object({
  format: z.literal(1),
  target: TargetShape,
  restore: Restore,
  rto: Duration,
  policy_sources: z.array(Source).max(1000),
  record: z.unknown(),
  old_machine: z.string().optional(),
  old_addresses: z.array(z.string()).max(100),
  real_paths: z.record(z.string(), z.string()),
  captured_paths: z.record(z.string(), z.string()).default({}),
});

/** For run.json. Holds no secret: a policy has none. */
export function metaOf(run: RunOf): RunMeta {
  return {
    run: run.run,
    policy: run.policy,
    snapshot: run.snapshot.id,
    host: run.host,
    started: run.started,
    steps: run.steps,
    sources: run.only,
    format: 1,
    target: run.target,
    restore: run.restore,
    rto: run.rto,
    policy_sources: run.sources,
    record: slim(run.snapshot),
    old_machine: run.oldMachine,
    old_addresses: run.oldAddresses,
    real_paths: run.realPaths,
    captured_paths: run.capturedPaths,
  };
}

/** Read back from a host that may be anything. Throws format/unsupported. */
export function runOf(meta: RunMeta): RunOf {
  const more = More.safeParse(meta);
  if (!more.success)
    throw new DropsError("format/unsupported", `run ${meta.run} was made by another version of drops`, {
      hint: "continue it with the version that started it",
      cause: more.error,
    });
  const { target, restore, rto, policy_sources, old_machine, old_addresses, real_paths, captured_paths } =
    more.data;
  const steps = STEPS.map(({ id }) => id).filter((id) => meta.steps.includes(id));
  return {
    run: meta.run,
    policy: meta.policy,
    started: meta.started,
    host: meta.host,
    target,
    restore,
    rto,
    sources: policy_sources,
    snapshot: recordOf(meta.run, more.data.record),
    only: meta.sources,
    steps,
    oldMachine: old_machine,
    oldAddresses: old_addresses,
    realPaths: real_paths,
    capturedPaths: captured_paths,
  };
}

/** As a journal tells it; undefined when it does not. */
export function targetIn(value: unknown): RunTarget | undefined {
  const read = TargetShape.safeParse(value);
  return read.success ? read.data : undefined;
}

/** Without what a run has no use for. */
function slim(record: SnapshotRecord): SnapshotRecord {
  return { ...record, seen: [], sources: record.sources.map((source) => ({ ...source, notes: [] })) };
}

function recordOf(run: string, record: unknown): SnapshotRecord {
  const bytes = encodeRecord(record as SnapshotRecord); // decoding checks what it is
  return decodeRecord(bytes, `of run ${run}`);
}
