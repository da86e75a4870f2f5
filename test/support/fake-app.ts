import type { App, AppModule, Guided } from "../../src/cli/app.ts";
import type { Alerts } from "../../src/notify/alerts.ts";
import type { EntryListing } from "../../src/restore/report.ts";
import type { Retention } from "../../src/retention/retention.ts";
import { doctor } from "./sample-doctor.ts";
import * as guidedSamples from "./sample-guided.ts";
import * as samples from "./sample-reports.ts";
import * as kept from "./sample-retention.ts";
import { sampleReport } from "./sample-status.ts";

export interface FakeApp {
  readonly module: AppModule;
  /** What was called with what, signals and streams left out; "closed" when the app was disposed. */
  readonly calls: string[];
}

/** An app that answers with the samples and remembers how it was asked. `fails` makes the named call throw. */
export function fakeApp(fails: { readonly at?: string; readonly error?: unknown } = {}): FakeApp {
  const calls: string[] = [];
  const answer =
    <How, Report>(name: string, report: (how: How) => Report) =>
    async (how: How): Promise<Report> => {
      const { signal: _signal, into: _into, prompt: _prompt, ...rest } = how as Record<string, unknown>;
      calls.push(`${name} ${JSON.stringify(rest)}`);
      if (fails.at === name) throw fails.error;
      return report(how);
    };
  const app: App = {
    init: answer("init", () => samples.init),
    backup: answer("backup", () => samples.backup),
    snapshots: answer("snapshots", () => samples.snapshots),
    show: answer("show", () => samples.show),
    ls: answer("ls", (): EntryListing => samples.listing()),
    export: answer("export", ({ into }: { into: NodeJS.WritableStream }) => {
      into.write("raw bytes");
      return samples.exported;
    }),
    restore: answer("restore", () => samples.restore),
    verify: answer("verify", () => samples.verify),
    drill: answer("drill", () => samples.drill),
    status: answer("status", () => sampleReport()),
    keys: answer("keys", () => samples.keys),
    doctor: answer("doctor", () => doctor),
    [Symbol.asyncDispose]: async () => void calls.push("closed"),
  };
  const guided: Guided = {
    restore: answer("guided restore", ({ dryRun }: { dryRun: boolean }) =>
      dryRun ? guidedSamples.planned : guidedSamples.restored,
    ),
    finish: answer("finish", () => guidedSamples.finished),
    rollback: answer("rollback", () => guidedSamples.rolledBack),
    bootstrap: answer("bootstrap", () => guidedSamples.bootstrapped),
    [Symbol.asyncDispose]: async () => void calls.push("closed"),
  };
  const retention: Retention = {
    plan: answer("plan", ({ at }: { at?: string | undefined }) =>
      at === undefined ? kept.planned : kept.foreseen,
    ),
    prune: answer("prune", () => kept.pruned),
    keeper: answer("keeper", () => kept.locked),
    pin: answer("pin", () => kept.pinned),
    unpin: answer("unpin", () => kept.unpinned),
    withdraw: answer("withdraw", () => kept.withdrawn),
    [Symbol.asyncDispose]: async () => void calls.push("closed"),
  };
  const alerts: Alerts = {
    teller: () => ({ start: () => {}, end: async () => {} }),
    test: answer("notify test", () => samples.notifyTest),
    failed: answer("notify failed", () => samples.notifyFailed),
  };
  const open =
    <Opened>(name: string, opened: Opened) =>
    async (access: object): Promise<Opened> => {
      calls.push(`${name} ${JSON.stringify(access)}`);
      return opened;
    };
  return {
    calls,
    module: {
      openApp: open("openApp", app),
      openReader: open("openReader", app),
      openGuided: open("openGuided", guided),
      openRetention: open("openRetention", retention),
      openAlerts: async () => alerts,
      makeKeys: answer("makeKeys", () => samples.keygen),
      makeSheet: answer("makeSheet", () => samples.sheet),
      makeRunbook: answer("makeRunbook", () => samples.runbook),
      setUp: answer("setUp", () => samples.setup),
      recallSnapshots: answer("recallSnapshots", () => [
        { id: "5f1e0c3ab2d49788", ended: "20261120T023000Z", isHeld: false },
        { id: "00000000000000ff", ended: "20261123T023000Z", isHeld: true },
      ]),
    },
  };
}
