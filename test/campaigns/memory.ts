/**
 * Peak memory of a backup over SSH: it must not grow with the bytes, nor much with the files.
 *
 *   sh scripts/node test/campaigns/memory.ts --gib 1,8 --files 300000
 */
import { execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { startSshd } from "../support/sshd.ts";

const { values } = parseArgs({
  options: { gib: { type: "string", default: "1,8" }, files: { type: "string", default: "300000" } },
});
const LIMIT = 400;
const MiB = 1024 * 1024;
const built = fileURLToPath(new URL("../../dist/main.js", import.meta.url));
const main = existsSync(built) ? built : fileURLToPath(new URL("../../src/main.ts", import.meta.url));

await using sshd = await startSshd();
for (const gib of values.gib.split(",").map(Number))
  await measure(`${gib} GiB`, (data) => writeLarge(data, gib));
await measure(`${values.files} files`, (data) => writeMany(data, Number(values.files)));

async function measure(what: string, fill: (data: string) => void): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "drops-memory-"));
  try {
    const [data, keys, policy] = [
      join(directory, "data"),
      join(directory, "keys"),
      join(directory, "policy.yaml"),
    ];
    mkdirSync(data);
    fill(data);
    writeFileSync(
      policy,
      `name: memory
zone: UTC
host: ${JSON.stringify({ ssh: sshd.policy })}
store: { directory: ${directory}/repository }
keys:
  recovery_recipients_file: ${keys}/recovery-recipients.txt
  metadata_identity_file: ${keys}/metadata-identity.txt
  signing_key_file: ${keys}/signing-key
reread_percent: 0
sources: [{ name: data, kind: files, paths: [${data}] }]
`,
    );
    const drops = (...args: string[]) => [main, "--policy", policy, "--quiet", ...args];
    for (const args of [drops("keygen", "--to", keys), drops("init")]) execFileSync(process.execPath, args);
    for (const night of ["first", "unchanged"]) {
      const { seconds, memory } = await peak(drops("backup"));
      console.log(
        `${what}, ${night} night: ${memory} MiB at most, ${seconds.toFixed(1)} s, load ${loadavg()[0]?.toFixed(1)}`,
      );
      if (memory > LIMIT) process.exitCode = 1;
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Files of 64 MiB, half of it random. */
function writeLarge(data: string, gib: number): void {
  for (let at = 0; at < gib * 16; at++) {
    const random = randomBytes(32 * MiB);
    writeFileSync(
      join(data, `large-${at}`),
      Buffer.concat([random, Buffer.alloc(32 * MiB, `some text that repeats ${at} `)]),
    );
  }
}

function writeMany(data: string, files: number): void {
  for (let at = 0; at < files; at++) {
    if (at % 1000 === 0) mkdirSync(join(data, `directory-${at / 1000}`));
    writeFileSync(
      join(data, `directory-${Math.floor(at / 1000)}`, `file-with-a-name-of-some-length-${at}`),
      `content ${at}\n`,
    );
  }
}

async function peak(args: string[]): Promise<{ seconds: number; memory: number }> {
  const began = performance.now();
  const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "inherit"] });
  let memory = 0;
  const watch = setInterval(() => {
    memory = Math.max(memory, highWater(child.pid));
  }, 50);
  const exit = await new Promise<number | null>((resolve) => child.on("close", resolve));
  clearInterval(watch);
  if (exit !== 0) throw new Error(`drops ${args.join(" ")} ended with ${exit}`);
  return { seconds: (performance.now() - began) / 1000, memory };
}

function highWater(pid: number | undefined): number {
  try {
    return Math.round(
      Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024,
    );
  } catch {
    return 0; // it has ended
  }
}
