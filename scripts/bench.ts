/**
 * drops against restic and borg: the same RocksDB directory, in turn, from a fresh repository every round. Absolute times
 * depend on the machine and on who else uses it; the ratios of the same round are what counts.
 */
import { execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, loadavg, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { openRocksdb } from "../test/support/rocksdb-library.ts";
import { startS3, type TestS3 } from "../test/support/s3.ts";
import { type Sshd, startSshd } from "../test/support/sshd.ts";

const { values } = parseArgs({
  options: {
    size: { type: "string", default: "1024" },
    rounds: { type: "string", default: "5" },
    tools: { type: "string", default: "drops,restic,restic-on-host,borg" },
  },
});
const MiB = 1024 * 1024;
const root = fileURLToPath(new URL("..", import.meta.url));
const restic = process.env["RESTIC"] ?? "restic";

interface Step {
  readonly seconds: number;
  /** Peak resident memory of the tool's own process, MiB. */
  readonly memory: number;
}
type Phase = "first" | "unchanged" | "restore" | "on disk";
/** What a tool is asked to do; `on disk` is a restore and the flush after it. */
type Command = Exclude<Phase, "on disk">;
const PHASES: readonly Phase[] = ["first", "unchanged", "restore", "on disk"];
interface Tool {
  readonly name: string;
  /** Commands of one round, in a directory of its own. */
  round(directory: string): Promise<Record<Command, readonly [string, ...string[]]>>;
  readonly env: Record<string, string>;
}

const scratch = mkdtempSync(join(tmpdir(), "drops-bench-"));
try {
  await using sshd = await startSshd();
  const data = join(scratch, "db");
  await makeDatabase(data, Number(values.size) * MiB);
  await compare(sshd, data, Number(values.rounds));
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

/** Values that compress to about a half, in families whose SSTs are compressed or not by turns. */
async function makeDatabase(directory: string, size: number): Promise<void> {
  const db = await openRocksdb(directory, { families: 4, create: true, memtableBytes: 16 * MiB });
  const columns = Object.values(db.columns);
  for (let written = 0, at = 0; written < size; at++) {
    const batch = db.batch();
    for (let key = 0; key < 256; key++, written += 4096) {
      const value = Buffer.concat([randomBytes(3072), Buffer.alloc(1024, `value ${key} `)]);
      batch._put(randomBytes(24), value, { column: columns[(at + key) % columns.length] });
    }
    batch._writeSync({});
    batch._closeSync();
  }
  await db.close();
  await (await openRocksdb(directory, { families: 4, memtableBytes: 16 * MiB })).close(); // its logs become tables, as on a server that runs
  const used = execFileSync("du", ["-sm", directory]).toString().split("\t")[0];
  console.log(
    `${used} MiB of RocksDB; ${cpus().length} x ${cpus()[0]?.model}, ${Math.round(totalmem() / 1024 ** 3)} GiB, load ${loadavg()[0]?.toFixed(1)}`,
  );
}

function toolsFor(s3: TestS3, sshd: Sshd, data: string): Tool[] {
  const { port, clientKeyFile, knownHostsFile } = sshd;
  const ssh = [
    "ssh",
    "-F",
    "none",
    "-p",
    String(port),
    "-i",
    clientKeyFile,
    "-o",
    `UserKnownHostsFile=${knownHostsFile}`,
    "-o",
    "BatchMode=yes",
  ];
  const host = `${sshd.policy.user}@127.0.0.1`;
  const keys = {
    AWS_ACCESS_KEY_ID: s3.credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: s3.credentials.secretAccessKey,
  };
  const resticEnv = { ...keys, RESTIC_PASSWORD: "bench", RESTIC_CACHE_DIR: join(scratch, "restic-cache") };
  const resticRound = (overSsh: boolean) => async (directory: string) => {
    const repository = `s3:${s3.tlsEndpoint}/${await s3.makeBucket()}/restic`;
    const plain = [restic, "-q", "--cacert", s3.caFile, "-r", repository] as const;
    execFileSync(restic, ["-q", "--cacert", s3.caFile, "-r", repository, "init"], {
      env: { ...process.env, ...resticEnv },
    });
    const wrapper = join(directory, "restic-on-host");
    const variables = Object.entries(resticEnv).map(([name, value]) => `export ${name}='${value}'`);
    writeFileSync(
      wrapper,
      `#!/bin/sh\n${variables.join("\n")}\nexec ${restic} -q --cacert ${s3.caFile} -r ${repository} backup ${data}\n`,
      { mode: 0o700 },
    );
    const pull = [
      ...plain,
      "backup",
      "--stdin-filename",
      "db.tar",
      "--stdin-from-command",
      "--",
      ...ssh,
      host,
      `tar -cf - -C ${data} .`,
    ] as const;
    const push = ["ssh", ...ssh.slice(1), host, wrapper] as const;
    const backup: [string, ...string[]] = overSsh ? [...pull] : [...push];
    return {
      first: backup,
      unchanged: backup,
      restore: [...plain, "restore", "latest", "--target", join(directory, "out")] as [string, ...string[]],
    };
  };
  const all: Tool[] = [
    { name: "drops", env: keys, round: (directory) => dropsRound(directory, s3, sshd, data) },
    { name: "restic", env: resticEnv, round: resticRound(true) },
    { name: "restic-on-host", env: resticEnv, round: resticRound(false) },
    {
      name: "borg",
      env: { BORG_PASSPHRASE: "bench", BORG_RSH: ssh.join(" "), BORG_BASE_DIR: join(scratch, "borg-base") },
      round: (directory) => borgRound(directory, host, port, ssh, data),
    },
  ];
  const wanted = values.tools.split(",");
  return all.filter(({ name }) => wanted.includes(name));
}

async function dropsRound(
  directory: string,
  s3: TestS3,
  sshd: Sshd,
  data: string,
): Promise<Record<Command, [string, ...string[]]>> {
  const keys = join(directory, "keys");
  const policy = join(directory, "bench.yaml");
  const store = { s3: s3.policy(await s3.makeBucket(), { endpoint: s3.tlsEndpoint, ca_file: s3.caFile }) };
  writeFileSync(
    policy,
    `name: bench
zone: UTC
host: ${JSON.stringify({ ssh: sshd.policy })}
store: ${JSON.stringify(store)}
keys:
  recovery_recipients_file: ${keys}/recovery-recipients.txt
  metadata_identity_file: ${keys}/metadata-identity.txt
  signing_key_file: ${keys}/signing-key
reread_percent: 0
sources: [{ name: db, kind: rocksdb, path: ${data} }]
`,
  );
  const built = join(root, "dist", "main.js");
  const main = existsSync(built) ? built : join(root, "src", "main.ts");
  const env = {
    ...process.env,
    AWS_ACCESS_KEY_ID: s3.credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: s3.credentials.secretAccessKey,
  };
  const drops = (...args: string[]): [string, ...string[]] => [
    process.execPath,
    main,
    "--policy",
    policy,
    "--quiet",
    ...args,
  ];
  for (const args of [drops("keygen", "--to", keys), drops("init")]) {
    const [program, ...rest] = args;
    execFileSync(program, rest, { env, stdio: ["ignore", "ignore", "inherit"] });
  }
  return {
    first: drops("backup"),
    unchanged: drops("backup"),
    restore: drops(
      "restore",
      "--date",
      "latest",
      "--to",
      join(directory, "out"),
      "--identity",
      join(keys, "recovery-identity.txt"),
    ),
  };
}

async function borgRound(
  directory: string,
  host: string,
  port: number,
  ssh: readonly string[],
  data: string,
): Promise<Record<Command, [string, ...string[]]>> {
  const repository = `ssh://${host}:${port}${directory}/borg`;
  const env = {
    ...process.env,
    BORG_PASSPHRASE: "bench",
    BORG_RSH: ssh.join(" "),
    BORG_BASE_DIR: join(scratch, "borg-base"),
  };
  execFileSync("borg", ["init", "--encryption=repokey-blake2", repository], {
    env,
    stdio: ["ignore", "ignore", "pipe"],
  });
  const out = join(directory, "out");
  mkdirSync(out);
  return {
    first: ["borg", "create", `${repository}::first`, data],
    unchanged: ["borg", "create", `${repository}::second`, data],
    restore: ["sh", "-c", `cd ${out} && exec borg extract ${repository}::first`],
  };
}

async function compare(sshd: Sshd, data: string, rounds: number): Promise<void> {
  const results = new Map<string, Step[]>();
  const names = new Set<string>();
  for (let round = 0; round < rounds; round++) {
    await using s3 = await startS3({ own: true }); // it keeps everything in memory
    const tools = toolsFor(s3, sshd, data);
    const turn = [...tools.slice(round % tools.length), ...tools.slice(0, round % tools.length)];
    for (const tool of turn) await oneRound(tool, round + 1, results);
    for (const { name } of tools) names.add(name);
  }
  console.log(`
medians of ${rounds}, and drops' time as a share of the other's in the same round (median); load ${loadavg()[0]?.toFixed(1)}`);
  for (const phase of PHASES) {
    const drops = results.get(`drops ${phase}`) ?? [];
    for (const name of names) console.log(rowOf(phase, name, results.get(`${name} ${phase}`) ?? [], drops));
  }
}

async function oneRound(tool: Tool, round: number, results: Map<string, Step[]>): Promise<void> {
  const directory = mkdtempSync(join(scratch, "round-"));
  const commands = await tool.round(directory);
  const add = (phase: Phase, step: Step) => {
    results.set(`${tool.name} ${phase}`, [...(results.get(`${tool.name} ${phase}`) ?? []), step]);
    console.log(`round ${round} ${tool.name} ${phase}: ${step.seconds.toFixed(2)} s, ${step.memory} MiB`);
  };
  for (const phase of ["first", "unchanged"] as const) add(phase, await measured(commands[phase], tool.env));
  const restore = await measured(commands.restore, tool.env);
  add("restore", restore);
  const flush = await measured(["sync", "-f", directory], {}); // nothing is restored that a power cut takes away again
  add("on disk", { seconds: restore.seconds + flush.seconds, memory: restore.memory });
  rmSync(directory, { recursive: true, force: true });
}

function rowOf(phase: Phase, name: string, steps: readonly Step[], drops: readonly Step[]): string {
  const shares = steps.map(({ seconds }, at) => (drops[at]?.seconds ?? Number.NaN) / seconds);
  const share = name === "drops" ? "" : `   drops takes ${median(shares).toFixed(2)} x`;
  const time = median(steps.map(({ seconds }) => seconds)).toFixed(2);
  const memory = median(steps.map((step) => step.memory));
  return `${phase.padEnd(10)} ${name.padEnd(15)} ${time.padStart(7)} s   ${memory} MiB${share}`;
}

async function measured(
  [program, ...args]: readonly [string, ...string[]],
  env: Record<string, string>,
): Promise<Step> {
  const began = performance.now();
  const child = spawn(program, args, {
    env: { ...process.env, ...env },
    stdio: ["ignore", "ignore", "inherit"],
  });
  let memory = 0;
  const watch = setInterval(() => {
    memory = Math.max(memory, peakMemory(child.pid));
  }, 50);
  const exit = await new Promise<number | null>((resolve) => child.on("close", resolve));
  clearInterval(watch);
  if (exit !== 0) throw new Error(`${program} ${args.join(" ")} ended with ${exit}`);
  return { seconds: (performance.now() - began) / 1000, memory };
}

function peakMemory(pid: number | undefined): number {
  try {
    const kib = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return Math.round(Number(kib ?? 0) / 1024);
  } catch {
    return 0; // it has ended
  }
}

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? 0)
    : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}
