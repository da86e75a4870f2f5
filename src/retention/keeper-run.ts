/** Extends the locks of what is kept, and tells what it found. */

import type { Cancel } from "../lib/cancel.ts";
import type { AppContext } from "../lib/context.ts";
import { DropsError } from "../lib/errors.ts";
import {
  type Due,
  extendLocks,
  type Held,
  type KeeperHow,
  type KeeperParts,
  type KeeperPlan,
  planKeeper,
} from "./keeper.ts";
import type { KeeperReport } from "./report.ts";

export interface KeeperRun {
  readonly parts: KeeperParts;
  readonly how: KeeperHow;
  readonly zone: string;
  readonly dryRun: boolean;
}

/** Throws clock/skewed when this machine's clock and the store's are too far apart: dates decide what is paid for. */
export async function runKeeper(
  { parts, how, zone, dryRun }: KeeperRun,
  context: AppContext,
  cancel: Cancel,
): Promise<KeeperReport> {
  const began = context.now().getTime();
  const progress = context.reporter.progress("keeper", "objects");
  try {
    const counting = { ...parts, onLooked: (done: number, total: number) => progress.update(done, total) };
    const plan = await planKeeper(counting, how, cancel);
    refuseSkew(plan);
    const failed = dryRun ? [] : await extendLocks(counting, plan.due, cancel);
    const seconds = (context.now().getTime() - began) / 1000;
    const place = { policy: parts.policyName, store: parts.store.label, zone };
    return { ...place, dryRun, mode: how.lock.mode, ...view(plan, failed, dryRun, how), seconds };
  } finally {
    progress.done();
  }
}

function refuseSkew({ survey: { skewSeconds, repository } }: KeeperPlan): void {
  if (Math.abs(skewSeconds) <= repository.constants.max_clock_skew) return;
  const side = skewSeconds > 0 ? "ahead of" : "behind";
  throw new DropsError(
    "clock/skewed",
    `this machine's clock is ${Math.abs(skewSeconds)} s ${side} the store's: nothing was locked`,
    { hint: "set the clock (timedatectl set-ntp true): the length of locks depends on dates" },
  );
}

function view(
  plan: KeeperPlan,
  failed: KeeperReport["failed"],
  dryRun: boolean,
  { lock }: KeeperHow,
): Omit<KeeperReport, "policy" | "store" | "zone" | "dryRun" | "mode" | "seconds"> {
  const lost = new Set(failed.map(({ key }) => key));
  const extended = plan.due.filter(({ target }) => !lost.has(target.key));
  const ends = dryRun
    ? [...plan.enough, ...plan.due].map(({ lock }) => lock?.until)
    : [...plan.enough.map(({ lock }) => lock?.until), ...extended.map(({ wanted }) => wanted.until)];
  const times = ends.flatMap((end) => (end === undefined ? [] : [end.getTime()]));
  const isWhole = times.length === plan.enough.length + plan.due.length;
  const { survey, unbelieved } = plan;
  return {
    at: survey.now.toISOString(),
    snapshots: plan.decisions.filter(({ keep }) => keep).length - unbelieved.length,
    enough: total(plan.enough),
    extended: total(extended),
    ...(isWhole && times.length > 0 ? { lockedUntil: new Date(Math.min(...times)).toISOString() } : {}),
    ...(times.length > 0 ? { furthest: new Date(Math.max(...times)).toISOString() } : {}),
    otherMode: [...plan.enough, ...plan.due].filter((one) => modeOf(one, lock.mode) !== lock.mode).length,
    missing: plan.missing.map(({ key, size = 0 }) => ({ key, bytes: size })),
    hidden: plan.hidden.map(({ key, version, by }) => {
      return { key, version, by: by.version, marker: by.isMarker, since: by.modified.toISOString() };
    }),
    failed,
    unbelieved: unbelieved.map(({ snapshot }) => snapshot.key),
    removedEarly: plan.removedEarly,
    problems: problemsOf(plan),
    notes: survey.notes,
  };
}

function modeOf(one: Held | Due, otherwise: KeeperReport["mode"]): KeeperReport["mode"] {
  if ("wanted" in one) return one.wanted.mode;
  return one.lock?.mode ?? otherwise;
}

function problemsOf({ survey, removedEarly, decisions }: KeeperPlan): string[] {
  const nothing = decisions.length === 0 && removedEarly.length > 0;
  const lists = survey.snapshots.flatMap(({ listed: { record, key }, candidate }) =>
    candidate.trusted
      ? record.sources.flatMap(({ list }) => {
          const read = list ? survey.references.list(list.sha256) : undefined;
          return read === undefined || read.state === "read"
            ? []
            : [`list ${list?.sha256} of ${key} is ${read.state}: its packs are not known`];
        })
      : [],
  );
  const gone = `no snapshot is left, of ${removedEarly.length} that were to stay`;
  return [...(nothing ? [gone] : []), ...survey.obstacles, ...new Set(lists)];
}

function total(held: readonly Held[]): { objects: number; bytes: number } {
  return { objects: held.length, bytes: held.reduce((sum, { version }) => sum + version.size, 0) };
}
