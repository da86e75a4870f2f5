/**
 * The composition root: from a policy, or from a store's address and an identity alone, to store, host, keys and clock.
 * With reader.ts the only place beside main.ts that knows every adapter.
 */
import { availableParallelism, totalmem } from "node:os";
import { backup } from "../backup/backup.ts";
import { init } from "../backup/init.ts";
import type { BackupOptions, BackupReport, InitReport } from "../backup/report.ts";
import { backupReport } from "../backup/run-report.ts";
import type { BackupParts } from "../backup/snapshot-run.ts";
import type { App, Guided, Reader } from "../cli/app.ts";
import type { GuidedAccess, PolicyAccess, ReadAccess } from "../lib/access.ts";
import type { Cancel } from "../lib/cancel.ts";
import type { AppContext } from "../lib/context.ts";
import { isLow, spaceInWords } from "../lib/space.ts";
import { byteCount, milliseconds } from "../lib/units.ts";
import type { Alerts } from "../notify/alerts.ts";
import type { AlertsAccess } from "../notify/report.ts";
import { PackPool } from "../pack/pool.ts";
import type { RunbookOptions, RunbookReport, SheetOptions, SheetReport } from "../paper/report.ts";
import type { LoadedPolicy } from "../policy/load.ts";
import type { Policy, StorePolicy } from "../policy/schema.ts";
import { locksOf } from "../retention/policy-locks.ts";
import type { Retention } from "../retention/retention.ts";
import { readIdentityFile, recipientsOf } from "../seal/recipients.ts";
import { recoveryRecipients } from "../seal/recovery-recipients.ts";
import type { KeygenReport } from "../seal/report.ts";
import { loadSigner } from "../seal/sshsig.ts";
import type { SetupOptions, SetupReport } from "../setup/report.ts";
import type { RecalledSnapshot } from "../snapshot/recall.ts";
import { spaceInFacts } from "../snapshot/space-facts.ts";
import { storeSpace } from "../store/directory-space.ts";
import { trustHere } from "../trust/own-keys.ts";
import { loadNamed, openAccess, policyOf } from "./access.ts";
import { openHost } from "./host.ts";
import { readerOf } from "./reader.ts";
import { openStore, openVersionedStore } from "./store.ts";

/** A machine with less memory than this seals with one thread. Bytes. */
const SMALL_MACHINE = 3 * 1024 * 1024 * 1024;

export async function openApp(access: PolicyAccess, context: AppContext): Promise<App> {
  const loaded = await loadNamed(access, context);
  const plain = { ...access, store: undefined, identities: [], trustedSigners: [], trustUnsigned: false };
  return {
    ...(await readerOf(plain, context, loaded)),
    init: (how) => runInit(loaded.policy, context, how),
    backup: (how) => runBackup(loaded, context, how),
    doctor: async (how) => {
      const { examinePolicy } = await import("./doctor.ts");
      return examinePolicy(loaded, context, how);
    },
  };
}

export function openReader(access: ReadAccess, context: AppContext): Promise<Reader> {
  return readerOf(access, context);
}

export async function openGuided(access: GuidedAccess, context: AppContext): Promise<Guided> {
  const { openGuided } = await import("./guided.ts");
  return openGuided(access, context);
}

export async function openRetention(access: PolicyAccess, context: AppContext): Promise<Retention> {
  const { retentionOf } = await import("../retention/retention.ts");
  const { policy } = await loadNamed(access, context);
  const openVersioned = () => openVersionedStore(policy.store, context);
  return retentionOf(policy, { store: await openStore(policy.store, context), openVersioned }, context);
}

export async function openAlerts(access: AlertsAccess, context: AppContext): Promise<Alerts> {
  const { openAlerts } = await import("../notify/alerts.ts");
  return openAlerts(access, context);
}

export async function makeKeys(
  options: { readonly to: string } & Cancel,
  context: AppContext,
): Promise<KeygenReport> {
  const { makeKeys } = await import("../seal/keygen.ts");
  return makeKeys(options.to, { now: context.now() });
}

export async function makeSheet(options: SheetOptions & Cancel, context: AppContext): Promise<SheetReport> {
  const { makeSheet } = await import("../paper/make-sheet.ts");
  const { policy } = await loadNamed(options, context);
  return makeSheet(policy, options, context, () => openStore(policy.store, context));
}

export async function makeRunbook(
  options: RunbookOptions & Cancel,
  context: AppContext,
): Promise<RunbookReport> {
  const { factsOfPolicy, factsOfStore, makeRunbook } = await import("../paper/make-runbook.ts");
  const { access } = options;
  return makeRunbook(options, async (script) => {
    const loaded = await policyOf(access, context);
    if (loaded) return factsOfPolicy(loaded.policy, access, script);
    const opened = await openAccess(access, undefined, context);
    await using _store = opened.store;
    return factsOfStore({ ...opened.parts, zone: "UTC" }, access, script, options);
  });
}

export async function recallSnapshots(
  access: Pick<ReadAccess, "policy" | "store"> & Cancel,
  context: AppContext,
): Promise<readonly RecalledSnapshot[]> {
  const { recallSnapshots } = await import("./recall.ts");
  return recallSnapshots(access, context);
}

export async function setUp(options: SetupOptions & Cancel, context: AppContext): Promise<SetupReport> {
  const { setUp } = await import("../setup/set-up.ts");
  return setUp(options, {
    context,
    openHost: (host, how) => openHost(host, context, how),
    init: (policy, how) => runInit(policy, context, how),
  });
}

async function runInit(policy: Policy, context: AppContext, how: Cancel): Promise<InitReport> {
  const signer = await loadSigner(policy.keys.signing_key_file);
  await recoveryRecipients(policy); // a policy that could not back up makes no repository
  await readIdentityFile(policy.keys.metadata_identity_file);
  await using store = await openStore(policy.store, context, { create: true });
  const { repository, recovery } = await init(store, signer, context.now(), how);
  return {
    store: store.label,
    repositoryId: repository.id,
    policy: policy.name,
    created: repository.created,
    recoveryObjects: recovery,
  };
}

async function runBackup(
  loaded: LoadedPolicy,
  context: AppContext,
  options: BackupOptions & Cancel,
): Promise<BackupReport> {
  const { runbookText } = await import("../paper/make-runbook.ts");
  const { policy } = loaded;
  const how = { signal: options.signal };
  await using store = await openStore(policy.store, context);
  await using pool = new PackPool(sealingThreads());
  const { signer, trust } = await trustHere(policy);
  const metadata = await readIdentityFile(policy.keys.metadata_identity_file);
  const { say } = context.reporter;
  const progress = context.reporter.progress("backup");
  let read = 0;
  const parts: BackupParts = {
    policy,
    policyText: loaded.text,
    runbook: await runbookText(policy, trust),
    store,
    openHost: () => openHost(policy.host, context, how),
    pool,
    recoveryRecipients: await recoveryRecipients(policy),
    metadata: { identities: metadata.identities, recipients: await recipientsOf(metadata.identities) },
    signer,
    trust,
    tool: `drops ${context.version}`,
    now: context.now,
    random: Math.random,
    say: (line) => say.call(context.reporter, line),
    onRead: (source, bytes, share) => {
      read += bytes;
      progress.update(read, share === undefined ? undefined : read / share, source);
    },
    checkpoint: {
      afterBytes: byteCount(policy.checkpoint.after_bytes),
      afterMs: milliseconds(policy.checkpoint.after),
    },
    ...(policy.object_lock ? { locks: locksOf(policy, policy.object_lock) } : {}),
  };
  try {
    const rereadShare = options.reread ? 1 : policy.reread_percent / 100;
    const run = await backup(parts, { only: options.sources, rereadShare }, how);
    return backupReport(policy, store.label, run, await lowSpace(policy.store, run.record.host));
  } finally {
    progress.done();
  }
}

/** Nearly full disks, as notes: of the host, and of a directory store. */
async function lowSpace(store: StorePolicy, host: Readonly<Record<string, string>>): Promise<string[]> {
  const ofStore = await storeSpace(store);
  const low = [...spaceInFacts(host), ...(ofStore ? [ofStore] : [])].filter(isLow);
  return low.map((space) => `a disk is nearly full: ${spaceInWords(space)}`);
}

/** Every thread holds about 70 MiB while it seals. */
function sealingThreads(): number {
  if (totalmem() < SMALL_MACHINE) return 1;
  return Math.min(2, availableParallelism());
}
