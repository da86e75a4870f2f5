import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { appendFile, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { COMPILE_CACHE } from "./support/compile-cache.ts";
import { everyCommand } from "./support/every-command.ts";
import { runTool, scratchDirectory } from "./support/scratch.ts";
import { openSite, type Site } from "./support/site.ts";
import { until } from "./support/until.ts";

// Every verb that may take long, in front of something that never answers, is told to end: it does so at once, says so,
// and leaves nothing. The processes are real, as a timer or a person would start them.
const main = new URL("../src/main.ts", import.meta.url).pathname;
/** Generous for a busy machine; a command that waits for its time limit (a minute and more) is far beyond. */
const AT_ONCE_MS = 45_000;

let site: Site;
let silence: Silence;
before(async () => {
  site = await openSite();
  silence = await listenInSilence();
});
after(async () => {
  await silence[Symbol.asyncDispose]();
  await site[Symbol.asyncDispose]();
});

type Row = readonly [line: string, name: NodeJS.Signals];
/** With a store that accepts connections and never answers. */
const STORE: readonly Row[] = [
  ["init", "SIGTERM"],
  ["backup", "SIGTERM"],
  ["snapshots", "SIGINT"],
  ["keys", "SIGTERM"],
  ["show latest", "SIGTERM"],
  ["ls latest", "SIGINT"],
  ["export words --date latest", "SIGINT"],
  ["restore --date latest --to OUT", "SIGINT"],
  ["verify", "SIGTERM"],
  ["verify --read-data", "SIGINT"],
  ["status", "SIGTERM"],
  ["drill", "SIGTERM"],
  ["restore --date latest --only bootstrap --to OUT", "SIGINT"],
  ["restore --date latest --dry-run", "SIGTERM"],
  ["keeper --dry-run", "SIGTERM"],
  ["doctor --only store", "SIGINT"],
  ["plan", "SIGINT"],
  ["prune --yes", "SIGTERM"],
  ["pin latest", "SIGINT"],
  ["unpin latest", "SIGINT"],
  ["withdraw latest --why x", "SIGHUP"],
];
for (const [line, name] of STORE) {
  test(`drops ${line}, ${name} while the store is silent: exit 130`, async () => {
    const { port } = silence;
    await site.policy({
      store: `{ s3: { bucket: silent, endpoint: "http://127.0.0.1:${port}" } }`,
      more: "object_lock: { mode: governance }\n",
    });
    await interrupted(line, name);
  });
}

/** With a host that accepts connections and never answers. */
const HOST: readonly Row[] = [
  ["backup", "SIGINT"],
  ["rollback --yes", "SIGTERM"],
  ["doctor --only host", "SIGTERM"],
  ["restore --resume --yes", "SIGINT"],
  ["restore --finish --yes", "SIGTERM"],
];
for (const [line, name] of HOST) {
  test(`drops ${line}, ${name} while the host is silent: exit 130`, async () => {
    const pin = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPoYYhCAPKzVkFSm0yVnGpmY3lW0aK1hT2lq0aZ8mQF";
    const key = join(site.keys, "signing-key");
    const { port } = silence;
    await site.policy({
      host: `{ ssh: { address: 127.0.0.1, port: ${port}, key_file: ${key}, host_key: "${pin}" } }`,
    });
    await interrupted(line, name);
  });
}

test("drops notify test, SIGTERM while the channel is silent: exit 130", async () => {
  const { port } = silence;
  await site.policy({
    more: `notify: { channels: [{ name: w, kind: webhook, url: "http://127.0.0.1:${port}/w" }] }\n`,
  });
  await interrupted("notify test", "SIGTERM");
});

/**
 * Nothing is waited for in these but the disk, or a person, who can leave (setup.test.ts); `runbook` of a policy's file asks no
 * store, and `notify failed` waits as `notify test` does.
 */
const SHORT = [
  "keygen",
  "runbook",
  "notify failed",
  "policy check",
  "policy show",
  "policy schema",
  "iam",
  "completion",
  "complete",
];

test("every command that may have to wait is in a table above", () => {
  const lines = [...STORE, ...HOST, ["notify test"]].map(([line]) => `${line} `);
  const others = everyCommand()
    .filter(({ isGroup }) => !isGroup)
    .map(({ words }) => words.join(" "))
    .filter((name) => !SHORT.includes(name) && !lines.some((line) => line.startsWith(`${name} `)));
  assert.deepEqual(others, []);
});

test("drops backup, SIGTERM in the middle of a source: exit 130, the source's command ends, no snapshot", async () => {
  const mark = join(site.directory, "started");
  const argv = ["sh", "-c", `echo $$ > ${mark}.new; mv ${mark}.new ${mark}; echo begun; exec sleep 600`];
  await site.policy({ sources: `  - { name: slow, kind: command, argv: ${JSON.stringify(argv)} }\n` });
  const before = await site.objects();
  const child = start("backup");
  const pid = Number(await appears(mark));
  child.kill("SIGTERM");
  const { exit, stderr } = await child.ended;
  assert.equal(exit, 130, stderr);
  await gone(pid);
  const records = (files: readonly string[]) => files.filter((file) => /snapshots\/.*\.json$/.test(file));
  assert.deepEqual(records(await site.objects()), records(before));
});

const WALKS: readonly (readonly [how: string, tar: string])[] = [
  ["tar looks for data in it", 'exec "$tar" --hole-detection=raw "$@"'],
  ["all its zeros come through", `set -f; exec "$tar" $(printf '%s\\n' "$@" | grep -vx -e --sparse)`],
];
for (const [how, walk] of WALKS) {
  test(`drops backup, SIGTERM in a sparse file of 1 TiB while ${how}: exit 130`, async () => {
    await using scratch = await scratchDirectory();
    const mark = join(scratch.path, "started");
    const data = join(scratch.path, "data");
    const programs = join(scratch.path, "bin");
    for (const directory of [data, programs]) await mkdir(directory);
    await runTool("truncate", "--size=1T", join(data, "big"));
    await appendFile(join(data, "big"), "end"); // a file without any data is not looked into
    const script = `#!/bin/sh
tar=$(PATH=$\{PATH#*:} && command -v tar)
case "$*" in *--create*) ;; *) exec "$tar" "$@" ;; esac
echo $$ >${mark}.new && mv ${mark}.new ${mark}
${walk}
`;
    await writeFile(join(programs, "tar"), script, { mode: 0o755 });
    await site.policy({ sources: `  - { name: tree, kind: files, paths: [${data}] }\n` });
    const child = start("backup", `${programs}:${process.env["PATH"]}`);
    const pid = Number(await appears(mark));
    const read = async () => /^rchar: (\d+)$/m.exec(await readFile(`/proc/${pid}/io`, "utf8"))?.[1];
    await until("tar is on its way", async () => Number(await read()) > 64 * 1024 * 1024);
    const asked = performance.now();
    child.kill("SIGTERM");
    const { exit, stderr } = await child.ended;
    assert.equal(exit, 130, stderr);
    assert.ok(performance.now() - asked < AT_ONCE_MS, "at once");
    await gone(pid);
  });
}

async function interrupted(line: string, name: NodeJS.Signals): Promise<void> {
  const child = start(line);
  const connection = silence.next();
  await Promise.race([
    connection,
    child.ended.then(({ stderr }) => Promise.reject(new Error(`it did not wait: ${stderr}`))),
  ]);
  const asked = performance.now();
  child.kill(name);
  const { exit, stderr } = await child.ended;
  assert.equal(exit, 130, stderr);
  assert.match(stderr, new RegExp(`^${name}: cleaning up; once more to stop at once$`, "m"));
  assert.match(stderr, new RegExp(`drops: interrupted by ${name}\n$`));
  assert.ok(performance.now() - asked < AT_ONCE_MS, "at once");
  assert.ok(!(await readdir(site.directory)).includes("OUT"), "nothing half-written");
}

function start(line: string, path = process.env["PATH"]) {
  const words = line.split(" ").map((word) => (word === "OUT" ? join(site.directory, "OUT") : word));
  const policy = join(site.directory, "policy.yaml");
  const child = spawn(process.execPath, [main, "--policy", policy, ...words], {
    env: {
      ...COMPILE_CACHE,
      PATH: path,
      HOME: site.directory,
      AWS_ACCESS_KEY_ID: "a",
      AWS_SECRET_ACCESS_KEY: "b",
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stderr = "";
  child.stdout.resume();
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const ended = once(child, "close").then(([exit, signal]) => ({ exit: exit ?? signal, stderr }));
  return { ended, kill: (name: NodeJS.Signals) => child.kill(name) };
}

interface Silence extends AsyncDisposable {
  readonly port: number;
  /** Resolves when somebody has connected from now on, and asked or waits for an answer. */
  next(): Promise<void>;
}

/** A server that accepts and never says a word. */
async function listenInSilence(): Promise<Silence> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
    socket.once("data", () => server.emit("asked"));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    next: async () => void (await once(server, "asked")),
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

async function appears(file: string): Promise<string> {
  const read = () => readFile(file, "utf8").catch(() => undefined);
  await until(`${file} appears`, async () => (await read()) !== undefined);
  return (await read()) ?? "";
}

/** Wait until no such process is alive. */
function gone(pid: number): Promise<void> {
  return until(`process ${pid} ends`, async () =>
    /^State:\s+Z/m.test(await readFile(`/proc/${pid}/status`, "utf8").catch(() => "State: Z")),
  );
}
