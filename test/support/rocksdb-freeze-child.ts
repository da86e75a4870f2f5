import { setTimeout as sleep } from "node:timers/promises";
import { openLocalHost } from "../../src/host/local.ts";
import { freezeRocksdb } from "../../src/source/rocksdb/capture/capture.ts";
import { captureContext, rocksdbPolicy } from "./rocksdb-snapshots.ts";

/** Freezes the database of its first argument, says so, and holds it until it is killed. */
await using host = await openLocalHost();
await using frozen = await freezeRocksdb(rocksdbPolicy(process.argv[2] ?? ""), captureContext(host));
process.stdout.write(`frozen at ${frozen.capturedAt.toISOString()}\n`);
await sleep(600_000);
