import { spawn } from "node:child_process";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { parseArgs } from "node:util";
import { openLocalHost } from "../../src/host/local.ts";
import { freezeFiles } from "../../src/source/files/capture.ts";
import { collectingSink } from "../support/collecting-sink.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { until } from "../support/until.ts";

/**
 * Hot copies of SQLite databases under constant writing, each opened by the real library:
 *   sh scripts/node test/campaigns/sqlite-hot.ts --count 25
 * So many for each of: WAL and rollback journal, one and five writers, rows of 100 bytes and of 20 kB. Exits with 1 when a copy was not
 * made, is not whole, has half of a transaction or lacks what was committed before it began.
 */
const { values } = parseArgs({ options: { count: { type: "string", default: "25" } } });
const { signal } = new AbortController();
const WRITER = new URL("../support/sqlite-writer.mjs", import.meta.url).pathname;
const failures: string[] = [];
await using host = await openLocalHost();

async function campaign(mode: string, writers: number, size: number): Promise<void> {
  await using scratch = await scratchDirectory();
  const directory = join(scratch.path, "app");
  await mkdir(directory);
  const file = join(directory, "app.db");
  const running = Array.from({ length: writers }, () => new Writer(file, mode, size));
  const what = `${mode}, ${writers} writers, rows of ${size} bytes`;
  let right = 0;
  try {
    await until("rows are committed", () => running.every(({ committed }) => committed > 0));
    for (const writer of running) writer.longest = 0;
    for (let count = 0; count < Number(values.count); count++) {
      const problem = await onceWrong(
        directory,
        file,
        Math.max(...running.map(({ committed }) => committed)),
      );
      if (problem === undefined) right++;
      else failures.push(`${what}: ${problem}`);
    }
  } finally {
    for (const writer of running) writer.end();
  }
  const longest = Math.max(...running.map(({ longest }) => longest));
  console.log(`${what}: ${right} of ${values.count} right; a writer waited ${longest} ms at most`);
  for (const failure of failures.splice(0)) {
    console.log(`FAILED ${failure}`);
    process.exitCode = 1;
  }
}

/** What is wrong with one copy; undefined when nothing is. */
async function onceWrong(directory: string, file: string, committed: number): Promise<string | undefined> {
  const source = { name: "data", kind: "files", paths: [directory], exclude: [], optional: false } as const;
  const context = { host, signal, rereadShare: 0, random: () => 0.5, policyName: "test", sources: [] };
  const policy = { ...source, paths: [directory], exclude: [], one_file_system: true };
  await using frozen = await freezeFiles(policy, { ...context, now: () => new Date(), say: () => {} });
  const sink = collectingSink();
  try {
    await frozen.ship(sink, { signal });
  } catch (error) {
    return String(error);
  }
  const restored = `${directory}.restored`;
  await writeFile(restored, sink.bytes(file.slice(1)));
  const db = new DatabaseSync(restored, { readOnly: true });
  try {
    const whole = db.prepare("PRAGMA integrity_check").get()?.["integrity_check"];
    const last = Number(db.prepare("SELECT max(id) AS id FROM rows").get()?.["id"]);
    const alone = db
      .prepare("SELECT count(*) AS n FROM rows WHERE twin > 0 AND twin NOT IN (SELECT id FROM rows)")
      .get()?.["n"];
    if (whole !== "ok") return String(whole);
    if (last < committed) return `it ends at row ${last}, and ${committed} was committed`;
    return alone === 0 ? undefined : `${alone} rows are half of a transaction`;
  } finally {
    db.close();
    await rm(restored);
  }
}

class Writer {
  committed = 0;
  /** Between two reports of twenty transactions, in ms. */
  longest = 0;
  readonly #process;

  constructor(file: string, mode: string, size: number) {
    const argv = ["--disable-warning=ExperimentalWarning", WRITER, file, mode, String(size)];
    this.#process = spawn(process.execPath, argv, { stdio: ["pipe", "pipe", "inherit"] });
    this.#process.stdout.on("data", (text: Buffer) => {
      const [committed = 0, waited = 0] = (text.toString().trimEnd().split("\n").at(-1) ?? "")
        .split(" ")
        .map(Number);
      this.committed = committed;
      this.longest = Math.max(this.longest, waited);
    });
  }

  end(): void {
    this.#process.stdin.end();
    this.#process.kill();
  }
}

for (const mode of ["WAL", "DELETE"])
  for (const writers of [1, 5]) for (const size of [100, 20_000]) await campaign(mode, writers, size);
