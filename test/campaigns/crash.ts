/**
 * kill -9 of drops at random moments of a backup, over SSH, on services that never rest. After every kill: whatever is
 * listed can be read back to the last byte, no staging is left on the host, and the next backup succeeds.
 *
 *   sh scripts/node test/campaigns/crash.ts --count 50
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { loadavg } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import type { BackupReport } from "../../src/backup/report.ts";
import { parseIdentityFile } from "../../src/seal/recipients.ts";
import { openDirectoryStore } from "../../src/store/directory.ts";
import { type SmallServer, startSmallServer } from "../support/small-server.ts";
import { readWhole } from "../support/whole-repository.ts";

const { values } = parseArgs({ options: { count: { type: "string", default: "50" } } });
const count = Number(values.count);
const MiB = 1024 * 1024;

/** Inode, size and time of every stored object that belongs to a snapshot which was read back. */
const proven = new Map<string, string>();
const provenSnapshots = new Set<string>();

await using server = await startSmallServer({
  pauseMs: 50,
  more: "checkpoint: { after: 1h, after_bytes: 4MiB }\n",
});
await must(server, "keygen", "--to", server.keys);
await must(server, "init");

await converge(server);
await killAtRandom(server, count);
console.log("0 failures");

/** A first backup that is killed every night, soon after it has saved something, gets done. */
async function converge(server: SmallServer): Promise<void> {
  for (let at = 0; at < 3; at++) await writeFile(join(server.media, `large-${at}`), randomBytes(8 * MiB));
  let nights = 0;
  for (;;) {
    nights++;
    assert.ok(nights < 60, "a first backup that is killed every night does not converge");
    const before = (await records(server)).length;
    // One source that holds still: what the others write in a night may be more than a checkpoint holds.
    const child = spawn(...spawnable(server, "backup", "--source", "media"), { stdio: "ignore" });
    const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
    const saved = async () => {
      while (child.exitCode === null && (await records(server)).length === before) await sleep(20);
      child.kill("SIGKILL");
    };
    await saved();
    await ended;
    const newest = (await whole(server)).at(-1)?.record;
    if (newest?.state === "partial") break; // done: it is one source of four
  }
  console.log(`a first backup that was killed after every checkpoint was whole on night ${nights}`);
}

async function killAtRandom(server: SmallServer, kills: number): Promise<void> {
  const usual = await timed(server);
  const counts = { killed: 0, finished: 0, checkpoints: 0 };
  for (let at = 0; at < kills; ) {
    await writeFile(join(server.media, `changing-${at % 3}`), randomBytes(6 * MiB));
    const before = (await records(server)).length;
    const child = spawn(...spawnable(server, "backup", "--json"), { stdio: "ignore" });
    const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
    const timer = setTimeout(() => child.kill("SIGKILL"), Math.random() * usual);
    const exit = await ended;
    clearTimeout(timer);
    if (exit === null) at++; // one that was faster than the kill does not count
    counts[exit === null ? "killed" : "finished"]++;
    counts.checkpoints += exit === null ? (await records(server)).length - before : 0;
    await whole(server);
    await noStaging(server);
    await must(server, "backup");
    await whole(server);
    if (exit === null && at % 5 === 0) console.log(`${at} kills, load ${loadavg()[0]?.toFixed(1)}`);
  }
  console.log(
    `${counts.killed} backups killed within ${Math.round(usual)} ms of their start (${counts.finished} were done before), ` +
      `${counts.checkpoints} of them after a checkpoint; every next backup succeeded, everything listed was read back`,
  );
}

async function timed(server: SmallServer): Promise<number> {
  const began = performance.now();
  await must(server, "backup");
  return performance.now() - began;
}

/**
 * Everything listed can be read back. What was read once is not read again: its objects are never written to, so it is
 * enough that they are the same files still.
 */
async function whole(server: SmallServer): ReturnType<typeof readWhole> {
  const { identities } = parseIdentityFile(
    await readFile(join(server.keys, "recovery-identity.txt"), "utf8"),
    "recovery",
  );
  const signer = (await readFile(join(server.keys, "signing-key.pub"), "utf8")).trim();
  const objects = await objectsOf(server.repository);
  for (const [path, file] of proven) assert.equal(objects.get(path), file, `${path} was changed or removed`);
  await using store = await openDirectoryStore(server.repository, {});
  const keys = { identity: identities[0] ?? "", signer, policy: "demo" };
  const read = await readWhole(store, { ...keys, read: (id) => !provenSnapshots.has(id) });
  for (const { record } of read) provenSnapshots.add(record.id);
  for (const [path, file] of objects) proven.set(path, file);
  return read;
}

async function objectsOf(repository: string): Promise<Map<string, string>> {
  const entries = await readdir(repository, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() && !entry.name.startsWith("."));
  const described = files.map(async ({ parentPath, name }) => {
    const { ino, size, mtimeMs } = await stat(join(parentPath, name));
    return [join(parentPath, name), `${ino} ${size} ${mtimeMs}`] as const;
  });
  return new Map(await Promise.all(described));
}

/** The host notices the end of the connection by itself: staging is gone within seconds. */
async function noStaging(server: SmallServer): Promise<void> {
  for (let tries = 0; ; tries++) {
    const spools = (await readdir("/var/tmp")).filter((name) => name.startsWith("drops-"));
    const left = [...server.rocksdb.staging(), ...spools];
    if (left.length === 0) return;
    assert.ok(tries < 100, `staging is left behind: ${left.join(", ")}`);
    await sleep(100);
  }
}

async function records(server: SmallServer): Promise<string[]> {
  const names = await readdir(join(server.repository, "demo", "snapshots")).catch(() => []);
  return names.filter((name) => name.endsWith(".json"));
}

async function must(server: SmallServer, ...args: readonly string[]): Promise<BackupReport> {
  const answer = await server.drops(...args, "--json");
  assert.equal(answer.exit, 0, `drops ${args.join(" ")}: ${answer.stderr}${answer.stdout}`);
  return JSON.parse(answer.stdout) as BackupReport;
}

function spawnable(server: SmallServer, ...args: readonly string[]): [string, string[]] {
  const [program, ...rest] = server.argv(...args);
  return [program, rest];
}
