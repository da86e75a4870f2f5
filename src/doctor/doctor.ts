import type { Cancel } from "../lib/cancel.ts";
import { wallTime } from "../policy/zone.ts";
import { type Proofs, type RecoveryProof, readProofs } from "../snapshot/finding.ts";
import { containerCheck } from "./check-containers.ts";
import { coverageChecks } from "./check-coverage.ts";
import { hostChecks } from "./check-host.ts";
import { keyChecks } from "./check-keys.ts";
import { nightsCheck } from "./check-nights.ts";
import { policyCheck } from "./check-policy.ts";
import { tryIdentity } from "./check-recovery.ts";
import { type Sizes, sourceChecks } from "./check-sources.ts";
import { type StoreLearnt, storeChecks } from "./check-store.ts";
import { unitChecks } from "./check-units.ts";
import { estimate, hostRate } from "./estimate.ts";
import type { Finding } from "./report.ts";
import { runChecks } from "./run-checks.ts";
import { type Check, GROUPS, type Group, type Line, ok, warn } from "./types.ts";
import type { World } from "./world.ts";

export interface Examination {
  readonly findings: readonly Finding[];
  readonly destroy?: StoreLearnt["destroy"];
  readonly recovery?: RecoveryProof;
  /** Keys of objects that were put to try the store and are still there. */
  readonly left: readonly string[];
}

interface Learnt extends StoreLearnt {
  readonly sizes: Sizes;
  recovery?: RecoveryProof;
}

/**
 * Everything that a backup and a restore of this policy depend on, looked at and tried. It never changes the service; what it
 * makes on the host is gone when it ends, and what it puts into the store too, where the credential may delete.
 *
 * @param only groups; empty means all
 */
export async function examine(world: World, only: readonly Group[], how: Cancel): Promise<Examination> {
  const learnt: Learnt = { sizes: new Map(), left: [] };
  const wanted = (group: Group) => only.length === 0 || only.includes(group);
  const wantsEstimate = wanted("estimate");
  const checks = [
    policyCheck(world),
    ...keyChecks(world),
    recoveryCheck(world, learnt),
    ...hostChecks(world),
    ...unitChecks(world),
    containerCheck(world),
    ...sourceChecks(world, learnt.sizes),
    ...coverageChecks(world),
    ...storeChecks(world, learnt),
    nightsCheck(world),
  ].filter(({ group }) => wanted(group) || (wantsEstimate && (group === "sources" || group === "store")));
  const ready = { host: world.host, store: world.store };
  const findings = await runChecks(checks, ready, how);
  // Afterwards: it needs what the others found out, and measures a link that nobody else uses.
  const last = wantsEstimate ? await runChecks([estimateCheck(world, learnt)], ready, how) : [];
  const asked = [...findings, ...last].filter(({ group }) => wanted(group));
  const inOrder = asked.sort((a, b) => GROUPS.indexOf(a.group) - GROUPS.indexOf(b.group));
  const { destroy, recovery, left } = learnt;
  return { findings: inOrder, ...(destroy ? { destroy } : {}), ...(recovery ? { recovery } : {}), left };
}

function recoveryCheck(world: World, learnt: Learnt): Check {
  const { identity } = world;
  return {
    group: "keys",
    name: "recovery-identity",
    why: "the one key that nothing replaces: if it is lost or the wrong one, every backup is worth nothing",
    run: async (how) => {
      if (identity === undefined) return [judgeLastProof(await proofs(world, how), world)];
      const shown = await tryIdentity(world, identity, how);
      if (shown.proof) learnt.recovery = shown.proof;
      return shown.lines;
    },
  };
}

/** What earlier runs wrote into the repository; undefined when it cannot be read. */
async function proofs(world: World, how: Cancel): Promise<Proofs | undefined> {
  try {
    const { repository } = await world.records;
    const place = { repository: repository.id, policy: world.loaded.policy.name };
    return await readProofs(await world.store, place, await world.trust, how);
  } catch {
    how.signal.throwIfAborted();
    return undefined; // told of the store
  }
}

const SHOW = "drops doctor --identity FILE, once, with the identity from the safe; then take it away again";
/** Days after which a proof is worth repeating. */
const OLD = 365;

/** Pure. */
export function judgeLastProof(
  proofs: Proofs | undefined,
  { now, loaded }: Pick<World, "now" | "loaded">,
): Line {
  if (!proofs?.recovery) return warn("the recovery identity was never shown to drops and tried", SHOW);
  const days = Math.floor((now().getTime() - Date.parse(proofs.recovery.at)) / 86_400_000);
  const said = `the recovery identity last opened a backup on ${wallTime(new Date(proofs.recovery.at), loaded.policy.zone).slice(0, 10)}`;
  return days > OLD ? warn(`${said}, ${days} days ago`, SHOW) : ok(said);
}

function estimateCheck(world: World, { sizes, rate }: Learnt): Check {
  const { policy } = world.loaded;
  return {
    group: "estimate",
    name: "first-backup",
    needs: "host",
    why: "a first backup may take days; it may be broken off and goes on from its last checkpoint",
    run: async (how) => {
      const host = policy.host === "local" ? undefined : await hostRate(await world.host, how);
      const names = policy.sources.map(({ name }) => name);
      return estimate(sizes, names, { host, store: rate });
    },
  };
}
