/** `drops doctor`: from a policy to what is looked at, and what others must know into the repository. */
import { dirname } from "node:path";
import type { DoctorOptions, DoctorReport } from "../doctor/report.ts";
import { runDoctor } from "../doctor/run-doctor.ts";
import { GROUPS, type Group } from "../doctor/types.ts";
import type { Records, World } from "../doctor/world.ts";
import type { Cancel } from "../lib/cancel.ts";
import type { AppContext } from "../lib/context.ts";
import { DropsError } from "../lib/errors.ts";
import type { LoadedPolicy } from "../policy/load.ts";
import type { Policy, StorePolicy } from "../policy/schema.ts";
import { recoveryRecipients } from "../seal/recovery-recipients.ts";
import { readCatalog } from "../snapshot/catalog.ts";
import { readRepository } from "../snapshot/repository.ts";
import type { BlobStore } from "../store/blob-store.ts";
import { trustHere } from "../trust/own-keys.ts";
import type { Trust } from "../trust/trust.ts";
import { openHost } from "./host.ts";
import { openStore } from "./store.ts";

/** A store that does not answer is a finding, not something to wait for. */
const PATIENCE = { attempts: 2 };
/** Groups that ask the host. */
const OF_HOST: readonly Group[] = ["host", "sources", "coverage", "estimate"];

/** Look at everything, and write down for `drops status` what was proven. */
export async function examinePolicy(
  loaded: LoadedPolicy,
  context: AppContext,
  { identity, only, signal }: DoctorOptions & Cancel,
): Promise<DoctorReport> {
  const how = { signal };
  const groups = GROUPS.filter((group) => only.includes(group));
  const world = worldOf(loaded, context, { identity, groups }, how);
  try {
    return await runDoctor(world, groups, context, how);
  } finally {
    for (const opened of [world.host, world.store]) {
      const one = await opened.catch(() => undefined);
      await one?.[Symbol.asyncDispose]();
    }
  }
}

function worldOf(
  loaded: LoadedPolicy,
  context: AppContext,
  { identity, groups }: { readonly identity: string | undefined; readonly groups: readonly Group[] },
  how: Cancel,
): World {
  const { policy } = loaded;
  const asksHost = groups.length === 0 || groups.some((group) => OF_HOST.includes(group));
  const host = asksHost ? openHost(policy.host, context, how) : notAsked();
  const store = openStore(policy.store, context, { patience: PATIENCE });
  const trust = trustHere(policy).then((here) => here.trust);
  const world = {
    loaded,
    host,
    store,
    credentials: credentialsOf(policy.store, context),
    records: recordsOf(policy, store, trust, how),
    recipients: recoveryRecipients(policy),
    trust,
    identity,
    status: async (within: Cancel) => {
      const { judgeRepository } = await import("../status/status-of-repository.ts");
      const quiet = { policyName: policy.name, identities: [], now: context.now, say: () => {} };
      const parts = { ...quiet, store: await store, trust: await trust };
      return judgeRepository(parts, policy, context, within);
    },
    now: context.now,
    random: Math.random,
    keyDirectories: keyDirectories(policy),
  };
  for (const one of [
    world.host,
    world.store,
    world.credentials,
    world.records,
    world.recipients,
    world.trust,
  ]) {
    one?.catch(() => {}); // told by the check that asks for it
  }
  return world;
}

async function notAsked(): Promise<never> {
  throw new DropsError("host/unreachable", "the host was not checked");
}

async function recordsOf(
  policy: Policy,
  opening: Promise<BlobStore>,
  trusting: Promise<Trust>,
  how: Cancel,
): Promise<Records> {
  const store = await opening;
  const trust = await trusting;
  const repository = await readRepository(store, trust, how);
  return { repository, catalog: await readCatalog(store, repository, policy.name, trust, how) };
}

function credentialsOf(store: StorePolicy, context: AppContext): World["credentials"] {
  if (!("s3" in store)) return undefined;
  const from = { file: store.s3.credentials_file, env: context.env };
  return import("../store/credentials.ts").then(({ readCredentials }) => readCredentials(from));
}

function keyDirectories({ keys, host, store }: Policy): string[] {
  const files = [
    keys.recovery_recipients_file,
    keys.metadata_identity_file,
    keys.signing_key_file,
    host === "local" ? undefined : host.ssh.key_file,
    "s3" in store ? store.s3.credentials_file : undefined,
  ];
  return [...new Set(files.filter((file) => file !== undefined).map((file) => dirname(file)))];
}
