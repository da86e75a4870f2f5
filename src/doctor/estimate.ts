import type { Host } from "../host/host.ts";
import type { Cancel } from "../lib/cancel.ts";
import { inBytes } from "../lib/units.ts";
import { type Line, ok, unable } from "./types.ts";

/** Long enough to see a link, short enough for a slow one. */
const MOST_BYTES = 16 * 1024 * 1024;
const MOST_MS = 3000;

/** Bytes a second. */
export interface Rates {
  /** Undefined: the host is this machine, or nothing was measured. */
  readonly host?: number | undefined;
  readonly store?: number | undefined;
}

/**
 * Pure: size and time of a backup that has to send everything. Compression and what is the same in several files shorten it; a
 * busy server lengthens it.
 */
export function estimate(
  sizes: ReadonlyMap<string, number>,
  sources: readonly string[],
  rates: Rates,
): Line[] {
  const bytes = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  const unknown = sources.filter((name) => !sizes.has(name));
  const without = unknown.length === 0 ? "" : `, without ${unknown.join(", ")}`;
  const size = `a backup that sends everything reads ${inBytes(bytes)}${without}`;
  const slowest = Math.min(rates.host ?? Number.POSITIVE_INFINITY, rates.store ?? Number.POSITIVE_INFINITY);
  if (!Number.isFinite(slowest) || slowest <= 0) {
    return [
      unable(`${size}; how long that takes is not known`, "correct the problems of host and store first"),
    ];
  }
  const links = [
    ...(rates.host === undefined ? [] : [`${inBytes(rates.host)}/s from the host`]),
    ...(rates.store === undefined ? [] : [`${inBytes(rates.store)}/s to the store`]),
  ];
  return [ok(`${size}: about ${inTime(bytes / slowest)} at ${links.join(" and ")}, less what compresses`)];
}

/** How fast bytes come from the host, in bytes a second: random ones, for some seconds at most. */
export async function hostRate(host: Host, how: Cancel): Promise<number> {
  await using command = await host.start(["head", "-c", String(MOST_BYTES), "/dev/urandom"], how);
  command.stdin.end();
  let bytes = 0;
  let first: number | undefined;
  for await (const chunk of command.stdout as AsyncIterable<Buffer>) {
    first ??= performance.now();
    bytes += chunk.length;
    if (performance.now() - first > MOST_MS) break;
  }
  const ms = performance.now() - (first ?? performance.now());
  return bytes / (Math.max(ms, 1) / 1000);
}

function inTime(seconds: number): string {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${(seconds / 3600).toFixed(1)} h` : `${(seconds / 86_400).toFixed(1)} days`;
}
