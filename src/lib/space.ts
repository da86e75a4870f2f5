import { inBytes } from "./units.ts";

/** Room on a file system, in bytes, as df counts it: what is kept for root is in neither. */
export interface Space {
  /** Which one, in words or by where it is mounted. */
  readonly where: string;
  readonly free: number;
  /** Free and used. */
  readonly total: number;
}

/** Below this share free, somebody is told. */
const LEAST_SHARE = 0.1;

export function isLow({ free, total }: Space): boolean {
  return free < total * LEAST_SHARE;
}

/** `/var: 4 % free, 1.2 GiB`; rounded down. */
export function spaceInWords({ where, free, total }: Space): string {
  return `${where}: ${Math.floor((free / total) * 100)} % free, ${inBytes(free)}`;
}
