import type { Host } from "../host/host.ts";
import type { Cancel } from "../lib/cancel.ts";
import { isFailure } from "../lib/errors.ts";
import { isLow, type Space, spaceInWords } from "../lib/space.ts";
import type { Policy } from "../policy/schema.ts";
import { hostTime } from "../source/files/gnu-tools.ts";
import { hostSpace } from "../source/host-space.ts";
import { judgeClock } from "./clocks.ts";
import { lookAtHost } from "./host-look.ts";
import { judgeSops, readSops } from "./sops.ts";
import { strayIdentities } from "./stray-identity.ts";
import { judgeHardlinks, judgeTools, wantedTools } from "./tools.ts";
import { type Check, type Line, ok, warn } from "./types.ts";
import type { World } from "./world.ts";

/** Where nobody has said otherwise: as the repository's own constant, in seconds. */
const ALLOWED_SKEW = 900;

export const WHY_SPACE = "a service and a backup both stop where nothing more can be written";

/** The machine that is backed up, but for its sources. */
export function hostChecks(world: World): Check[] {
  const { policy } = world.loaded;
  return [
    {
      group: "host",
      name: "connection",
      why: "without it nothing is backed up; and whoever stands in for the host would be backed up in its stead",
      run: async () => [connected(policy, await world.host)],
    },
    {
      group: "host",
      name: "tools",
      needs: "host",
      why: "a capture begins only when everything that it needs is there",
      run: (how) => tools(world, how),
    },
    {
      group: "host",
      name: "host-clock",
      needs: "host",
      why: "dates decide which snapshot is restored and which is kept",
      run: async (how) => [await clock(world, how)],
    },
    {
      group: "host",
      name: "space",
      needs: "host",
      why: WHY_SPACE,
      run: async (how) => judgeSpace(await hostSpace(await world.host, policy.sources, how)),
    },
    {
      group: "host",
      name: "stray-identity",
      why: "whoever breaks into a machine where the recovery identity lies reads every backup there ever was",
      run: (how) => strayIdentities(world, how),
    },
    {
      group: "host",
      name: "sops",
      needs: "host",
      why: "a server that is built anew has a new host key: secrets that only the old one opens are lost with it",
      run: async (how) => judgeSops(await readSops(await world.host, how)),
    },
  ];
}

/** Pure. */
export function judgeSpace(spaces: readonly Space[]): Line[] {
  const low = spaces.filter(isLow);
  const fix = "make room there, or give it a larger disk";
  if (low.length > 0) return low.map((space) => warn(`a disk is nearly full: ${spaceInWords(space)}`, fix));
  if (spaces.length === 0) return [ok("the free space of no source's file system is known")];
  return [ok(`free: ${spaces.map(spaceInWords).join("; ")}`)];
}

function connected(policy: Policy, host: Host): Line {
  if (policy.host === "local") return ok(`the host is this machine, as ${host.user.name}`);
  const by = policy.host.ssh.host_key === undefined ? "known_hosts" : "host_key in the policy";
  const root = host.user.uid === 0 ? "; this key is root there, protect it so" : "";
  return ok(`logged in as ${host.label}, whose host key is that of ${by}${root}`);
}

async function tools(world: World, how: Cancel): Promise<Line[]> {
  const { policy } = world.loaded;
  const host = await world.host;
  const wanted = wantedTools(policy, host.user);
  const look = await lookAtHost(host, [...wanted.keys()], how);
  return [...judgeTools(wanted, look), ...judgeHardlinks(policy, host.user, look)];
}

async function clock(world: World, how: Cancel): Promise<Line> {
  const host = await world.host;
  const before = world.now().getTime();
  const there = Number((await hostTime(host, how)) / 1_000_000n);
  const here = (before + world.now().getTime()) / 2;
  if (host.label === "this machine" && Math.abs(here - there) < 2000)
    return ok("the clock is this machine's own");
  return judgeClock("host", (here - there) / 1000, await allowedSkew(world));
}

/** Seconds. */
export async function allowedSkew(world: World): Promise<number> {
  try {
    return (await world.records).repository.constants.max_clock_skew;
  } catch (error) {
    if (isFailure(error)) return ALLOWED_SKEW; // told of the store
    throw error;
  }
}
