import assert from "node:assert/strict";
import { once } from "node:events";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { BackupReport } from "../src/backup/report.ts";
import type { RestoreReport, SnapshotsReport } from "../src/restore/report.ts";
import type { VerifyReport } from "../src/verify/report.ts";
import { restoredBridge, restoredHomeserver } from "../test/support/restored.ts";
import { type Answer, type SmallServer, startSmallServer } from "../test/support/small-server.ts";

/** The main job, end to end, on servers that are real and never rest; nothing here is staged but the data. */
const keep = process.argv.includes("--keep");
const say = (line: string) => process.stdout.write(`${line}\n`);
const began = performance.now();

say(
  "starting a small server: RocksDB being written to, PostgreSQL with a bridge writing, registrations, media, OpenSSH",
);
const server = await startSmallServer({ keep });
try {
  await demo(server);
  if (keep) await stay(server);
} finally {
  await server[Symbol.asyncDispose]();
}
say(`\nall of it in ${seconds(performance.now() - began)}, and cleaned up`);

async function demo(server: SmallServer): Promise<void> {
  await step(server, "keygen", "--to", server.keys);
  await step(server, "init");
  const nights: BackupReport[] = [];
  for (const night of [1, 2, 3]) {
    await change(server, night);
    nights.push(await step<BackupReport>(server, "backup"));
  }
  tell(nights);
  const { snapshots } = await step<SnapshotsReport>(server, "snapshots");
  assert.equal(snapshots.length, 3);
  const identity = join(server.keys, "recovery-identity.txt");
  const verified = await step<VerifyReport>(server, "verify", "--read-data", "--identity", identity);
  assert.deepEqual(verified.damage, []);
  await comeBack(server, nights, identity);
}

/** Something new every night, so that every date is another one. */
async function change(server: SmallServer, night: number): Promise<void> {
  await writeFile(join(server.media, "of-the-day"), `night ${night}\n`);
  await server.postgres.psql(server.database, `CREATE TABLE night_${night} AS SELECT ${night} AS night`);
  await sleep(1100); // dates have seconds
}

/** Restore the second night from the store's address and the recovery identity alone, and compare with the real programs. */
async function comeBack(
  server: SmallServer,
  nights: readonly BackupReport[],
  identity: string,
): Promise<void> {
  const second = nights[1];
  assert.ok(second);
  const to = join(server.directory, "restored");
  const date = second.snapshot.ended;
  const alone = ["--store", server.repository, "--identity", identity];
  const report = await step<RestoreReport>(server, "restore", "--date", date, "--to", to, ...alone);
  assert.equal(report.snapshot.id, second.snapshot.id);
  const media = await readFile(join(to, "media", server.media, "of-the-day"), "utf8");
  assert.equal(media, "night 2\n");
  const registration = join(server.registrations, "slack.yaml");
  assert.deepEqual(await readFile(join(to, "registrations", registration)), await readFile(registration));
  const homeserver = await restoredHomeserver(join(to, "homeserver"), server.rocksdb.families);
  const bridge = await restoredBridge(server.postgres, join(to, "bridge-db"));
  say(`
restored ${date} into a directory, from the store's address and one identity:
  ${report.files} files, ${mib(report.bytes)} in ${report.seconds} s
  RocksDB opened by the real library: ${server.rocksdb.families} column families agree on batch ${homeserver.counter}, no holes
  PostgreSQL loaded into a scratch database: ${bridge.tables} tables, ${bridge.rows} rows, every count and digest equal
  registrations and media as they were on that night`);
}

function tell(nights: readonly BackupReport[]): void {
  say("\nthree nights, each while the services were writing:");
  for (const [index, { seconds: took, bytes, readBytes, storedBytes, skewSeconds }] of nights.entries()) {
    say(
      `  night ${index + 1}: ${took} s, ${mib(bytes)} in all, ${mib(readBytes)} read, ${mib(storedBytes)} stored, ` +
        `captured within ${skewSeconds} s`,
    );
  }
}

/** One command as a user types it; its JSON answer. Ends the demo when it fails. */
async function step<Report>(server: SmallServer, ...args: readonly string[]): Promise<Report> {
  const before = performance.now();
  const alone = args.includes("--store"); // needs no policy, so it is given none
  const answer: Answer = await (alone ? server.dropsAlone : server.drops)(...args, "--json");
  if (answer.exit !== 0) {
    throw new Error(`drops ${args.join(" ")} ended with ${answer.exit}\n${answer.stderr}${answer.stdout}`);
  }
  say(`drops ${args[0]}: ${seconds(performance.now() - before)}`);
  return JSON.parse(answer.stdout) as Report;
}

async function stay(server: SmallServer): Promise<void> {
  say(`\nstill running, until you press Enter. Try:
  npm run drops -- --policy ${server.policyFile} snapshots
the repository is ${server.repository}: ${(await readdir(server.repository)).join(" ")}
this directory stays afterwards: ${server.directory}`);
  process.stdin.resume();
  await once(process.stdin, "data");
  process.stdin.pause();
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function mib(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}
