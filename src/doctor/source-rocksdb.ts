import { dirname } from "node:path";
import * as z from "zod";
import type { Host } from "../host/host.ts";
import { ANY_EXIT } from "../host/run-to-end.ts";
import type { Cancel } from "../lib/cancel.ts";
import { byteCount, inBytes } from "../lib/units.ts";
import type { RocksdbPolicy } from "../policy/schema.ts";
import { freezeRocksdb } from "../source/rocksdb/capture/capture.ts";
import { FreezeChannel } from "../source/rocksdb/capture/channel.ts";
import { type Line, type LookedAt, ok, warn } from "./types.ts";
import type { World } from "./world.ts";

/** What of a frozen database's facts is judged (source/rocksdb/capture.ts). */
const Facts = z.object({
  database: z.string(),
  rocksdb_version: z.string().optional(),
  options: z.record(z.string(), z.string()),
  tables: z.number(),
  table_bytes: z.number(),
  logs: z.number(),
  log_bytes: z.number(),
  rejected_attempts: z.array(z.unknown()),
  linking_ms: z.number(),
});
export type FrozenFacts = z.infer<typeof Facts>;

/**
 * A hot database is frozen as a backup freezes it: hard links in a staging directory, the MANIFEST, OPTIONS and logs read and
 * proven, and let go. One that is to be stopped is not: only what can be tried while it runs is.
 */
export async function checkRocksdb(world: World, source: RocksdbPolicy, how: Cancel): Promise<LookedAt> {
  const host = await world.host;
  if (source.mode === "stopped") return reachable(host, source, how);
  const { now, random } = world;
  const { name: policyName, sources } = world.loaded.policy;
  const context = { ...how, host, policyName, sources, rereadShare: 0, now, random, say: () => {} };
  await using frozen = await freezeRocksdb(source, context);
  const facts = Facts.parse(frozen.facts);
  const free = await freeBytes(host, source.staging ?? dirname(facts.database), how);
  return { lines: judgeFrozen(source, facts, free), bytes: facts.table_bytes + facts.log_bytes };
}

/** Pure: what is worth knowing of a database that could be frozen. `free`: bytes beside it, undefined when not known. */
export function judgeFrozen(source: RocksdbPolicy, facts: FrozenFacts, free: number | undefined): Line[] {
  const { options, tables, table_bytes: bytes, logs, linking_ms: ms } = facts;
  const lines: Line[] = [];
  const attempts = facts.rejected_attempts.length + 1;
  if (attempts > 1) {
    const what = `${source.name}: it took ${attempts} of at most 10 attempts to catch one state of the database`;
    lines.push(warn(what, "back up when the service is less busy, or set mode: stopped and its unit"));
  }
  if (Number(options["recycle_log_file_num"] ?? 0) > 0) {
    const what = `${source.name}: the database recycles its logs (recycle_log_file_num), so more attempts fail`;
    lines.push(warn(what, "set recycle_log_file_num to 0 in the service, or mode: stopped in the policy"));
  }
  if (options["allow_2pc"] === "true") {
    const what = `${source.name}: two-phase commit (allow_2pc): that its logs follow one another is not proven`;
    lines.push(warn(what, "set mode: stopped in the policy if the service can be stopped for some seconds"));
  }
  if (free !== undefined && free < byteCount(source.min_free) + bytes) {
    const what = `${source.name}: ${inBytes(free)} are free beside it. While a backup is sent, tables that the database replaces stay: up to ${inBytes(bytes)}`;
    lines.push(warn(what, "make room, so that a long first backup is not broken off (min_free)"));
  }
  const version = facts.rocksdb_version === undefined ? "" : `, RocksDB ${facts.rocksdb_version}`;
  lines.push(
    ok(
      `${source.name}: frozen and proven in ${ms} ms: ${tables} tables, ${logs} logs, ${inBytes(bytes)}${version}`,
    ),
  );
  return lines;
}

/** Where it is, a hard link and the lock are tried; the unit goes on running. */
async function reachable(host: Host, source: RocksdbPolicy, how: Cancel): Promise<LookedAt> {
  await using channel = await FreezeChannel.open(source, { host, ...how });
  const { database } = channel.hello;
  const { unit = "" } = source;
  const asking = ["systemctl", "show", "--property", "LoadState", "--value", "--", unit];
  const { stdout } = await host.run(asking, { ...how, okExits: ANY_EXIT });
  const state = stdout.toString().trim() || "unknown to systemctl";
  const bytes = await sizeOf(host, database, how);
  if (state !== "loaded") {
    const what = `${source.name}: the unit ${unit} that is to be stopped is ${state} on the host`;
    return { lines: [{ result: "fail", what, fix: "correct unit in the policy" }], bytes };
  }
  const done = `${source.name}: hard links can be made in ${inBytes(bytes)}; ${unit} was not stopped to try more`;
  return { lines: [ok(done)], bytes };
}

/** Bytes that are free where `directory` lies. */
async function freeBytes(host: Host, directory: string, how: Cancel): Promise<number | undefined> {
  const { stdout } = await host.run(["df", "-Pk", "--", directory], { ...how, env: { LC_ALL: "C" } });
  const kib = stdout.toString().split("\n")[1]?.split(/\s+/)[3];
  return kib !== undefined && /^\d+$/.test(kib) ? Number(kib) * 1024 : undefined;
}

async function sizeOf(host: Host, directory: string, how: Cancel): Promise<number> {
  const argv = ["find", directory, "-maxdepth", "1", "-type", "f", "-printf", "%s\\n"];
  const { stdout } = await host.run(argv, how);
  return stdout
    .toString()
    .split("\n")
    .reduce((sum, line) => sum + Number(line), 0);
}
