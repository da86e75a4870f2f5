import { inBytes } from "../../lib/units.ts";
import { type CheckResult, checked, failed } from "../run/check.ts";

/** Kept free beside what is brought: logs, journals and the rest of the host go on writing. */
const RESERVE_BYTES = 256 * 2 ** 20;
/** Of what is brought, for directories and the ends of blocks. */
const OVERHEAD = 1.02;
const RESERVE_INODES = 1000;

export interface SpaceTarget {
  readonly path: string;
  readonly bytes: number;
  readonly entries: number;
}

/**
 * One check for each file system that targets are on: the new has to fit beside the old. `told` is what the host answers for a
 * target's path (preflight-host.sh). Pure.
 */
export function checkSpace(
  targets: readonly SpaceTarget[],
  told: (path: string) => string,
): readonly CheckResult[] {
  const checks: CheckResult[] = [];
  const byDevice = new Map<string, { free: FreeSpace; targets: SpaceTarget[] }>();
  for (const target of targets) {
    const free = freeSpaceOf(told(target.path));
    if (free === undefined) {
      const { path } = target;
      checks.push(failed(`space for two copies at ${path}`, "could not be looked at", `df -h ${path}`));
      continue;
    }
    const there = byDevice.get(free.device);
    if (there === undefined) byDevice.set(free.device, { free, targets: [target] });
    else there.targets.push(target);
  }
  return [...checks, ...[...byDevice.values()].flatMap(({ free, targets: all }) => checkDevice(free, all))];
}

interface FreeSpace {
  readonly device: string;
  readonly bytes: number;
  /** undefined: the file system makes them as they are needed. */
  readonly inodes: number | undefined;
  readonly where: string;
}

function freeSpaceOf(answer: string): FreeSpace | undefined {
  const [, device = "", blocks, size, inodes, where = ""] =
    /^(\d+) (\d+) (\d+) (\d+) (\/.*)$/s.exec(answer) ?? [];
  if (blocks === undefined) return undefined;
  return {
    device,
    bytes: Number(blocks) * Number(size),
    inodes: inodes === "0" ? undefined : Number(inodes),
    where,
  };
}

function checkDevice(free: FreeSpace, targets: readonly SpaceTarget[]): readonly CheckResult[] {
  const name = `space for two copies at ${free.where}`;
  const bytes = targets.reduce((sum, target) => sum + target.bytes, 0);
  const entries = targets.reduce((sum, target) => sum + target.entries, 0);
  const need = Math.ceil(bytes * OVERHEAD) + RESERVE_BYTES;
  const paths = targets.map(({ path }) => path).join(", ");
  const found = `${inBytes(free.bytes)} free, ${inBytes(need)} needed for ${paths} beside what is there`;
  const hint = `make room on the file system of ${free.where}, or make it larger`;
  const room = checked(free.bytes >= need, name, found, hint);
  const inodes = entries + RESERVE_INODES;
  if (free.inodes === undefined || free.inodes >= inodes) return [room];
  const few = `${free.inodes} free, ${inodes} needed`;
  return [room, failed(`inodes at ${free.where}`, few, `df -i ${free.where}`)];
}
