import type { Cancel } from "../lib/cancel.ts";
import { wallTime } from "../policy/zone.ts";
import type { DestroyProof } from "../snapshot/finding.ts";
import { requireUnderstood } from "../snapshot/repository.ts";
import { SAME_DISK_HINT, sameDisk } from "../source/same-disk.ts";
import { storeSpace } from "../store/directory-space.ts";
import { allowedSkew, judgeSpace, WHY_SPACE } from "./check-host.ts";
import { judgeClock } from "./clocks.ts";
import { shortLock, tryLock } from "./try-lock.ts";
import { trySemantics } from "./try-store.ts";
import { tryToDestroy } from "./try-to-destroy.ts";
import { type Check, type Line, ok, warn } from "./types.ts";
import type { World } from "./world.ts";

/** What the store's checks learn beside what they say. */
export interface StoreLearnt {
  destroy?: DestroyProof;
  /** Bytes a second that a put took. */
  rate?: number;
  /** Keys of what was put to try and could not be removed. */
  readonly left: string[];
}

/** Several puts and their retries. */
const LIMIT_MS = 120_000;

/** The store, as whoever makes backups meets it. `learnt` is filled. */
export function storeChecks(world: World, learnt: StoreLearnt): Check[] {
  return [
    {
      group: "store",
      name: "reachable",
      why: "a backup that never left the server is lost with it",
      run: async (how) => [await reachable(world, how)],
    },
    {
      group: "store",
      name: "repository",
      why: "a backup and a restore begin with its description and its records",
      run: () => repository(world),
    },
    {
      group: "store",
      name: "store-clock",
      needs: "store",
      why: "what is kept and what is deleted goes by the store's clock; a backup refuses when they differ too much",
      run: async (how) => [await clock(world, how)],
    },
    {
      group: "store",
      name: "semantics",
      needs: "store",
      limitMs: LIMIT_MS,
      why: "a snapshot is only as safe as the store's word that an object is there, whole, and only once",
      run: async (how) => {
        const store = await world.store;
        const { policy } = world.loaded;
        const tried = await trySemantics(store, policy, await shortLock(store, policy, how), how);
        learnt.left.push(...tried.left);
        if (tried.rate !== undefined) learnt.rate = tried.rate;
        return tried.lines;
      },
    },
    ...spaceChecks(world),
    ...diskChecks(world),
    ...lockChecks(world, learnt),
    {
      group: "store",
      name: "destroy",
      needs: "store",
      limitMs: LIMIT_MS,
      why: "whoever breaks into the machine that makes backups holds its credential, and goes for the backups first",
      run: async (how) => {
        const tried = await tryToDestroy(world, how);
        learnt.left.push(...tried.left);
        if (tried.proof) learnt.destroy = tried.proof;
        return tried.lines;
      },
    },
  ];
}

/** Of a directory; a server does not tell. */
function spaceChecks({ loaded }: World): Check[] {
  const { store } = loaded.policy;
  if (!("directory" in store)) return [];
  const run = async () => {
    const space = await storeSpace(store);
    return space ? judgeSpace([space]) : [];
  };
  return [{ group: "store", name: "space", needs: "store", why: WHY_SPACE, run }];
}

/** Of a directory on the machine that is backed up. */
function diskChecks({ loaded }: World): Check[] {
  const { host, store } = loaded.policy;
  if (host !== "local" || !("directory" in store)) return [];
  const run = async () => {
    const what = await sameDisk(loaded.policy);
    return [
      what === undefined ? ok("the store and the data are on different disks") : warn(what, SAME_DISK_HINT),
    ];
  };
  const why = "a backup is for the day on which the disk breaks, too";
  return [{ group: "store", name: "disk", why, run }];
}

/** Where the policy wants objects locked. */
function lockChecks(world: World, learnt: StoreLearnt): Check[] {
  const { name, object_lock } = world.loaded.policy;
  if (!object_lock) return [];
  return [
    {
      group: "store",
      name: "object-lock",
      needs: "store",
      why: "what is not locked can be deleted, and a backup that cannot lock what it puts fails",
      run: async (how) => {
        const { lines, left } = await tryLock(await world.store, { name, object_lock }, how);
        learnt.left.push(...left);
        return lines;
      },
    },
  ];
}

async function reachable(world: World, how: Cancel): Promise<Line> {
  const store = await world.store;
  const at = performance.now();
  await store.now(how);
  return ok(`${store.label} answers in ${Math.max(1, Math.round(performance.now() - at))} ms`);
}

async function repository(world: World): Promise<Line[]> {
  const { repository, catalog } = await world.records;
  requireUnderstood(repository);
  const { zone } = world.loaded.policy;
  const { snapshots, unreadable } = catalog;
  const lines: Line[] = unreadable.slice(0, 3).map(({ why }) => {
    return warn(
      `not trusted: ${why.message}`,
      why.hint ?? "drops status, and ask who may write to the store",
    );
  });
  const complete = snapshots.filter(({ record }) => record.state === "complete");
  const count = complete.length === 1 ? "1 complete snapshot" : `${complete.length} complete snapshots`;
  const newest = complete.at(-1);
  const said = newest
    ? `${count}, the newest ended ${wallTime(new Date(newest.record.ended), zone)}`
    : "no snapshot yet: drops backup";
  return [...lines, ok(`repository ${repository.id}; ${said}`)];
}

async function clock(world: World, how: Cancel): Promise<Line> {
  const store = await world.store;
  const before = world.now().getTime();
  const there = (await store.now(how)).getTime();
  const ahead = ((before + world.now().getTime()) / 2 - there) / 1000;
  return judgeClock("store", ahead, await allowedSkew(world));
}
