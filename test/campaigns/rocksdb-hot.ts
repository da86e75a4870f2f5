import { parseArgs } from "node:util";
import { openLocalHost } from "../../src/host/local.ts";
import { messageOf } from "../../src/lib/errors.ts";
import { type HotSnapshot, hotSnapshot, slowedHost } from "../support/rocksdb-snapshots.ts";
import { startRocksdbWriter } from "../support/rocksdb-writer.ts";

/**
 * Hot snapshots of a RocksDB database under constant flush and compaction, each opened by the real library:
 *   sh scripts/node test/campaigns/rocksdb-hot.ts --count 200
 * Exits with 1 when any snapshot was not taken, could not be opened, or is not one state.
 */
const { values } = parseArgs({
  options: {
    count: { type: "string", default: "200" },
    families: { type: "string", default: "40" },
    pause: { type: "string", default: "0" },
    wal: { type: "string", default: "zstd" },
    /** Seconds to rest before every step on the host. */
    slow: { type: "string", default: "0" },
  },
});

await using local = await openLocalHost();
const host = values.slow === "0" ? local : slowedHost(local, Number(values.slow));
await using writer = await startRocksdbWriter({
  families: Number(values.families),
  pauseMs: Number(values.pause),
  walCompression: values.wal === "none" ? "none" : "zstd",
});
await new Promise((resolve) => setTimeout(resolve, 3000)); // levels fill
const taken: HotSnapshot[] = [];
const failures: string[] = [];
for (let number = 1; number <= Number(values.count); number++) {
  try {
    taken.push(await hotSnapshot(writer, host));
  } catch (error) {
    failures.push(`${number}: ${messageOf(error)}`);
    console.log(`FAILED ${failures.at(-1)}`);
  }
  if (number % 20 === 0) console.log(`${number}: ${taken.length} right, ${failures.length} failed`);
}

const reasons = new Map<string, number>();
for (const { reason } of taken.flatMap((snapshot) => snapshot.rejected)) {
  reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
}
const sorted = taken.map((snapshot) => snapshot.freezeMs).sort((a, b) => a - b);
const percentile = (share: number) =>
  Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0);
console.log(
  JSON.stringify(
    {
      accepted: taken.length,
      failures: failures.length,
      retries: Object.fromEntries(reasons),
      freeze_ms: { p50: percentile(0.5), p95: percentile(0.95), max: percentile(1) },
      last: {
        tables: taken.at(-1)?.facts["tables"],
        logs: taken.at(-1)?.facts["logs"],
        batch: taken.at(-1)?.counter,
      },
      staging_left: writer.staging().length,
    },
    undefined,
    2,
  ),
);
if (failures.length > 0 || taken.length === 0 || writer.staging().length > 0) process.exitCode = 1;
