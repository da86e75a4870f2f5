/** `drops doctor`: from a policy to what is looked at, and what others must know into the repository. */
import { dirname } from "node:path";
import { type Examination, examine } from "../doctor/doctor.ts";
import type { DoctorOptions, DoctorReport } from "../doctor/report.ts";
import { type Finding, GROUPS, type Group } from "../doctor/types.ts";
import type { Records, World } from "../doctor/world.ts";
import type { Cancel } from "../lib/cancel.ts";
import type { AppContext } from "../lib/context.ts";
import { DropsError, isFailure } from "../lib/errors.ts";
import { hostWords } from "../policy/host-words.ts";
import type { LoadedPolicy } from "../policy/load.ts";
import type { Policy, StorePolicy } from "../policy/schema.ts";
import { loadSigner } from "../seal/sshsig.ts";
import { readCatalog } from "../snapshot/catalog.ts";
import { putFound, readProofs } from "../snapshot/finding.ts";
import { readRepository } from "../snapshot/repository.ts";
import type { BlobStore } from "../store/blob-store.ts";
import { s3Label } from "../store/store-url.ts";
import { trustHere } from "../trust/own-keys.ts";
import type { Trust } from "../trust/trust.ts";
import { openHost } from "./host.ts";
import { recoveryRecipients } from "./keys.ts";
import { openStore } from "./store.ts";

/** A store that does not answer is a finding, not something to wait for. */
const PATIENCE = { attempts: 2 };
/** Groups that ask the host. */
const OF_HOST: readonly Group[] = ["host", "sources", "coverage", "estimate"];
/** What is known already is not written down again for so long. */
const FRESH_MS = 7 * 86_400_000;

/** Look at everything, and write down for `drops status` what was proven. */
export async function examinePolicy(
  loaded: LoadedPolicy,
  context: AppContext,
  { identity, only, signal }: DoctorOptions & Cancel,
): Promise<DoctorReport> {
  const { policy } = loaded;
  const how = { signal };
  const groups = GROUPS.filter((group) => only.includes(group));
  context.reporter.say(`trying what backups of ${policy.name} depend on`);
  const world = worldOf(loaded, context, { identity, groups }, how);
  try {
    const found = await examine(world, groups, how);
    const { recorded, finding } = await record(world, found, context, how);
    const findings = [...found.findings, ...(finding ? [finding] : [])];
    const counted = (result: Finding["result"]) => findings.filter((one) => one.result === result).length;
    const counts = {
      ok: counted("ok"),
      warn: counted("warn"),
      unable: counted("unable"),
      fail: counted("fail"),
    };
    const { destroy, left } = found;
    return {
      policy: policy.name,
      origin: loaded.origin,
      store: labelOf(policy.store),
      host: policy.host === "local" ? "this machine" : hostWords(policy.host.ssh),
      at: context.now().toISOString(),
      well: counts.fail + counts.unable === 0,
      counts,
      findings,
      ...(destroy ? { destroy: { ...destroy, found: [...destroy.found] } } : {}),
      ...(recorded === undefined ? {} : { recorded }),
      left: [...left],
    };
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
      const { judgeRepository } = await import("./status.ts");
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
  throw new DropsError("host/unreachable", "the host was not asked");
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

function labelOf(store: StorePolicy): string {
  return "s3" in store ? s3Label(store.s3) : store.directory;
}

/** What others must know goes into the repository, unless it says so already. */
async function record(
  world: World,
  { destroy, recovery }: Examination,
  context: AppContext,
  how: Cancel,
): Promise<{ readonly recorded?: string; readonly finding?: Finding }> {
  if (!destroy && !recovery) return {};
  try {
    const [{ repository }, store, trust] = await Promise.all([world.records, world.store, world.trust]);
    const { policy } = world.loaded;
    const place = { repository: repository.id, policy: policy.name };
    const known = await readProofs(store, place, trust, how);
    const at = context.now();
    const young = (one: { readonly at: string } | undefined) =>
      one !== undefined && at.getTime() - Date.parse(one.at) < FRESH_MS;
    const isKnown = !destroy || (known.destroy?.answer === destroy.answer && young(known.destroy));
    if (!recovery && isKnown) return {};
    const signer = await loadSigner(policy.keys.signing_key_file);
    const found = { ...place, at: at.toISOString(), tool: `drops ${context.version}` };
    const more = { ...(destroy ? { destroy } : {}), ...(recovery ? { recovery } : {}) };
    return { recorded: await putFound(store, { ...found, ...more }, { ...how, signer }) };
  } catch (error) {
    if (!isFailure(error)) throw error;
    return { finding: notRecorded(error) };
  }
}

function notRecorded(error: DropsError): Finding {
  return {
    group: "store",
    check: "recorded",
    result: "warn",
    what: `what was proven could not be written down: ${error.message}`,
    why: "drops status says who can destroy backups and when the recovery key was last tried only from there",
    fix: "give the credential the writer's role as it is now: drops iam writer",
  };
}
