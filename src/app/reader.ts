/** The verbs that read, over whatever a policy or an address and an identity give access to. */
import type { Reader } from "../cli/app.ts";
import { openLocalHost } from "../host/local.ts";
import type { ReadAccess } from "../lib/access.ts";
import type { Cancel } from "../lib/cancel.ts";
import type { AppContext } from "../lib/context.ts";
import { readingPool } from "../pack/pool.ts";
import type { LoadedPolicy } from "../policy/load.ts";
import { lsView, showView, snapshotsView } from "../restore/browse-report.ts";
import { aboutChosen, type ReadParts } from "../restore/choose.ts";
import { explaining } from "../restore/explaining.ts";
import type { ExportOptions, ExportReport, RestoreOptions, RestoreReport } from "../restore/report.ts";
import { type Access, openAccess, policyOf, zoneOf } from "./access.ts";

/** Nothing is opened before the first verb asks. */
export async function readerOf(
  access: ReadAccess,
  context: AppContext,
  loaded?: LoadedPolicy,
): Promise<Reader> {
  const policy = loaded ?? (await policyOf(access, context));
  let opened: Promise<Access> | undefined;
  const open = () => {
    opened ??= openAccess(access, policy, context);
    return opened;
  };
  const parts = async (how: Cancel): Promise<ReadParts> => {
    const found = await open();
    return { ...found.parts, zone: await zoneOf(found, how) };
  };
  return {
    snapshots: async (how) => {
      const { listSnapshots } = await import("../restore/browse.ts");
      const found = await parts(how);
      return snapshotsView(found, await listSnapshots(found, how));
    },
    show: async (how) => {
      const { showSnapshot } = await import("../restore/browse.ts");
      const found = await parts(how);
      return showView(found, await showSnapshot(found, how.choice, how));
    },
    ls: async (how) => {
      const { listEntries } = await import("../restore/browse.ts");
      const found = await parts(how);
      return lsView(found, await listEntries(found, how, how));
    },
    export: async (how) => {
      const found = await parts(how);
      return explaining(found, () => runExport(found, context, how));
    },
    restore: async (how) => {
      const found = await parts(how);
      return explaining(found, () => runRestore(found, context, how));
    },
    verify: async (how) => {
      const { refusePartial, verifyWithEvidence } = await import("../verify/verify-with-evidence.ts");
      refusePartial(how);
      const { store } = await open();
      return verifyWithEvidence({ parts: await parts(how), store, policy: policy?.policy }, context, how);
    },
    drill: async (how) => {
      const { drillRepository } = await import("../drill/drill-with-evidence.ts");
      const { store } = await open();
      const found = await parts(how);
      const onHost = async (on: string) => {
        const { drillOnHost } = await import("./drill-on-host.ts");
        return drillOnHost({ parts: found, policy, access }, on, context, how);
      };
      return drillRepository({ parts: found, store, policy, onHost }, context, how);
    },
    status: async (how) => {
      const { statusOfRepository } = await import("../status/status-of-repository.ts");
      return statusOfRepository((await open()).parts, policy, context, how);
    },
    keys: async (how) => {
      const { keysOfRepository } = await import("../verify/keys.ts");
      return keysOfRepository(await parts(how), policy?.policy, how);
    },
    [Symbol.asyncDispose]: async () => {
      if (opened) await (await opened.catch(() => undefined))?.store[Symbol.asyncDispose]();
    },
  };
}

async function runRestore(
  parts: ReadParts,
  context: AppContext,
  options: RestoreOptions & Cancel,
): Promise<RestoreReport> {
  const { restoreSnapshot } = await import("../restore/restore.ts");
  await using pool = readingPool();
  const progress = context.reporter.progress("restore");
  try {
    const onWritten = (done: number, total: number, source: string) => progress.update(done, total, source);
    const run = await restoreSnapshot(
      { ...parts, pool, openHost: openLocalHost, onWritten },
      { ...options, onDamage: options.bestEffort ? "best-effort" : "describe" },
      options,
    );
    const { chosen, to, storedBytes: _, ...restored } = run;
    const { later: laterSnapshots, ageSeconds } = chosen;
    return { ...aboutChosen(parts, chosen), to, laterSnapshots, ageSeconds, ...restored };
  } finally {
    progress.done();
  }
}

async function runExport(
  parts: ReadParts,
  context: AppContext,
  what: ExportOptions & Cancel,
): Promise<ExportReport> {
  const { exportEntry } = await import("../restore/export.ts");
  await using pool = readingPool();
  const progress = context.reporter.progress("export");
  try {
    const onWritten = (done: number, total: number) => progress.update(done, total);
    const { chosen, form, bytes } = await exportEntry({ ...parts, pool, onWritten }, what, what);
    const path = what.path === undefined ? {} : { path: what.path };
    return { snapshot: chosen.snapshot.record.id, source: what.source, ...path, form, bytes };
  } finally {
    progress.done();
  }
}
