import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import test from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { EXITS } from "../../src/cli/exits.ts";
import { FAILURE_CODES, type FailureCode } from "../../src/lib/errors.ts";
import { COMPILE_CACHE } from "../support/compile-cache.ts";
import { type Mishap, startFaultProxy } from "../support/fault-proxy.ts";
import { freePort } from "../support/free-port.ts";
import { startPostgres } from "../support/postgres.ts";
import { runTool } from "../support/scratch.ts";
import { openSite, type Site } from "../support/site.ts";
import { startSshd } from "../support/sshd.ts";
import { until } from "../support/until.ts";

/**
 * What a user sees of everything that can go wrong: the exit code, one sentence, a hint with what to do, no stack, and
 * nothing half-written. Rows of one kind; `prepare` breaks a site that has one good backup.
 */
interface Row {
  readonly name: string;
  readonly prepare: (site: Site) => Promise<unknown>;
  /** `restore` is restored to OUT, which must not exist afterwards. */
  readonly args: (site: Site) => readonly string[];
  readonly exit: number;
  /** Of the failure, where the exit code is that of several. */
  readonly code?: FailureCode;
  readonly says: RegExp;
  /** A failure may leave new objects, never a listed snapshot: default. `true`: a partial one is right. */
  readonly listed?: boolean;
}

const backup = () => ["backup"];
const restore = (site: Site) => [
  "restore",
  "--date",
  "latest",
  "--to",
  join(site.directory, "OUT"),
  "--identity",
  site.identity,
];

const rows: readonly Row[] = [
  {
    name: "a malformed policy",
    prepare: (site) => site.policy({ more: "keep: { daily: many }\n" }),
    args: backup,
    exit: 2,
    says: /policy\.yaml:\d+:\d+ keep\.daily/,
  },
  {
    name: "a policy that is not YAML",
    prepare: (site) => site.policy({ more: "  ]: [\n" }),
    args: backup,
    exit: 2,
    says: /policy\.yaml:\d+/,
  },
  {
    name: "an option that does not exist",
    prepare: async () => {},
    args: () => ["backup", "--fast"],
    exit: 2,
    says: /unknown option/,
  },
  {
    name: "init over a repository",
    prepare: async () => {},
    args: () => ["init"],
    exit: 22,
    says: /there is a repository in .* already/,
  },
  {
    name: "keygen over keys",
    prepare: async () => {},
    args: (site) => ["keygen", "--to", site.keys],
    exit: 22,
    says: /exists already/,
  },
  {
    name: "a store that is not there",
    prepare: (site) => rm(site.repository, { recursive: true }),
    args: backup,
    exit: 11,
    says: /is not there/,
  },
  {
    name: "a store that is a file",
    prepare: async (site) => {
      await rm(site.repository, { recursive: true });
      await writeFile(site.repository, "");
    },
    args: () => ["snapshots"],
    exit: 11,
    says: /is not a directory/,
  },
  {
    name: "no repository in the store",
    prepare: (site) => rm(join(site.repository, "repository.json")),
    args: backup,
    exit: 10,
    says: /there is no drops repository/,
  },
  {
    name: "a repository of another format",
    prepare: (site) => replaceIn(join(site.repository, "repository.json"), '"format": 1', '"format": 7'),
    args: (site) => [...restore(site), "--trust-unsigned"],
    exit: 22,
    says: /format 7; this drops reads format 1/,
  },
  {
    name: "a forged description of the repository",
    prepare: (site) => replaceIn(join(site.repository, "repository.json"), '"format": 1', '"format": 7'),
    args: restore,
    exit: 13,
    says: /signature/,
  },
  {
    name: "a missing signing key",
    prepare: (site) => rm(join(site.keys, "signing-key")),
    args: backup,
    exit: 13,
    says: /signing key .* does not exist/,
  },
  {
    name: "a signing key that others can read",
    prepare: (site) => chmod(join(site.keys, "signing-key"), 0o644),
    args: backup,
    exit: 13,
    says: /chmod/,
  },
  {
    name: "missing recipients",
    prepare: (site) => rm(join(site.keys, "recovery-recipients.txt")),
    args: backup,
    exit: 13,
    says: /recovery recipients/,
  },
  {
    name: "a recipient with a typing error",
    prepare: (site) => writeFile(join(site.keys, "recovery-recipients.txt"), "age1qqqq\n"),
    args: backup,
    exit: 13,
    says: /age1qqqq|recipient/,
  },
  {
    name: "a missing database",
    prepare: postgresSource({ database: "nowhere" }),
    args: backup,
    exit: 12,
    says: /nowhere/,
  },
  {
    name: "a missing pg_dump",
    prepare: postgresSource({ database: "postgres", bin: "/nonexistent" }),
    args: backup,
    exit: 12,
    says: /postgresql-client/,
  },
  { name: "no space for staging", prepare: rocksdbWithoutSpace, args: backup, exit: 22, says: /free/ },
  {
    name: "a path that is not there",
    prepare: (site) =>
      site.policy({ sources: `  - { name: gone, kind: files, paths: [${site.directory}/nowhere] }\n` }),
    args: backup,
    exit: 12,
    says: /nowhere/,
  },
  {
    name: "a command that fails after it printed",
    prepare: (site) =>
      site.policy({ sources: `  - { name: dies, kind: command, argv: [sh, -c, "echo half; exit 9"] }\n` }),
    args: backup,
    exit: 12,
    says: /9/,
  },
  {
    name: "a dead source beside a living one",
    prepare: (site) =>
      site.policy({
        sources: `  - { name: dies, kind: command, argv: ["false"] }\n  - { name: lives, kind: command, argv: [date] }\n`,
      }),
    args: backup,
    exit: 3,
    code: "backup/partial",
    says: /dies/,
    listed: true,
  },
  {
    name: "a file that is too large beside one that is not",
    prepare: async (site) => {
      const directory = await mkdtemp("/dev/shm/drops-large-"); // elsewhere no file system holds one
      await writeFile(join(directory, "good"), "good");
      await runTool("truncate", "--size=9P", join(directory, "large"));
      await site.policy({ sources: `  - { name: tree, kind: files, paths: [${directory}] }\n` });
      return { [Symbol.asyncDispose]: () => rm(directory, { recursive: true }) };
    },
    args: backup,
    exit: 3,
    code: "backup/partial",
    says: /source tree is incomplete: 1 file of source tree could not be read: \S+\/large: too large, 8 PiB or more[\s\S]*drops: tree could not be read completely, the rest is stored/,
    listed: true,
  },
  {
    name: "a host key that is not the pinned one",
    prepare: sshSite("wrong pin"),
    args: backup,
    exit: 12,
    says: /host key/,
  },
  {
    name: "a login that is refused",
    prepare: sshSite("stranger"),
    args: backup,
    exit: 12,
    says: /cannot log in .*not accepted/,
  },
  {
    name: "a host that does not answer",
    prepare: async (site) =>
      site.policy({
        host: `{ ssh: { address: 127.0.0.1, port: ${await freePort()}, key_file: ${site.keys}/signing-key, host_key: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPoYYhCAPKzVkFSm0yVnGpmY3lW0aK1hT2lq0aZ8mQF" } }`,
      }),
    args: backup,
    exit: 12,
    says: /127\.0\.0\.1/,
  },
  {
    name: "a date with no snapshot",
    prepare: async () => {},
    args: (site) => [
      "restore",
      "--date",
      "2020-02-02",
      "--to",
      join(site.directory, "OUT"),
      "--identity",
      site.identity,
    ],
    exit: 10,
    says: /no complete snapshot .*2020-02-02[\s\S]*hint: .*20\d\d-/,
  },
  {
    name: "a date that is none",
    prepare: async () => {},
    args: (site) => [
      "restore",
      "--date",
      "2026-13-40",
      "--to",
      join(site.directory, "OUT"),
      "--identity",
      site.identity,
    ],
    exit: 2,
    says: /2026-13-40/,
  },
  {
    name: "an id that nobody has",
    prepare: async () => {},
    args: (site) => [
      "restore",
      "--snapshot",
      "00000000ffffffff",
      "--to",
      join(site.directory, "OUT"),
      "--identity",
      site.identity,
    ],
    exit: 10,
    says: /00000000ffffffff/,
  },
  {
    name: "the identity of somebody else",
    prepare: otherIdentity,
    args: restore,
    exit: 13,
    says: /identity|identities/,
  },
  {
    name: "no identity that opens packs",
    prepare: async () => {},
    args: (site) => [
      "restore",
      "--date",
      "latest",
      "--to",
      join(site.directory, "OUT"),
      "--identity",
      join(site.keys, "metadata-identity.txt"),
    ],
    exit: 13,
    says: /identity|identities/,
  },
  {
    name: "a target that is not empty",
    prepare: async () => {},
    args: (site) => ["restore", "--date", "latest", "--to", site.keys, "--identity", site.identity],
    exit: 22,
    says: /empty/,
  },
  {
    name: "a pack with one flipped bit",
    prepare: (site) => flipIn(site, "packs"),
    args: restore,
    exit: 20,
    says: /pack [0-9a-f]{64}/,
  },
  {
    name: "a pack that is gone",
    prepare: async (site) => rm(await fileIn(site, "packs")),
    args: restore,
    exit: 20,
    says: /pack/,
  },
  {
    name: "a manifest cut short",
    prepare: async (site) => truncate(await fileIn(site, "manifests"), 200),
    args: restore,
    exit: 20,
    says: /manifest/,
  },
  {
    name: "a manifest that is gone",
    prepare: async (site) => rm(await fileIn(site, "manifests")),
    args: restore,
    exit: 20,
    says: /manifest/,
  },
  {
    name: "a list with another pack",
    prepare: async (site) =>
      replaceIn(await fileIn(site, "lists"), "# 2", "# 3").catch(() => flipIn(site, "lists")),
    args: restore,
    exit: 20,
    says: /list/,
  },
  {
    name: "a forged record",
    prepare: async (site) =>
      replaceIn(await fileIn(site, "snapshots"), '"state": "complete"', '"state": "partial" '),
    args: restore,
    exit: 13,
    says: /signature/,
  },
  {
    name: "a night that was missed",
    prepare: async (site) => {
      await site.policy({ more: "rpo: 1s\n" });
      await delay(2100); // a record's time is to the second: by now the night is more than one old, however fast this machine
    },
    args: () => ["status"],
    exit: 21,
    code: "status/not-green",
    says: /site is late/,
  },
  {
    name: "a night that doctor finds bad",
    prepare: async (site) => rm(await fileIn(site, "packs")),
    args: () => ["doctor", "--only", "nights"],
    exit: 21,
    code: "doctor/not-well",
    says: /site is not well: 2 failed, .*; first: nothing can be restored/,
  },
  {
    name: "a drill whose own check fails",
    prepare: async (site) => {
      await site.policy({
        sources: `  - { name: config, kind: files, paths: [${site.directory}/policy.yaml] }\n`,
        more: 'restore: { checks: [{ name: words, source: config, command: ["false"] }] }\n',
      });
      assert.equal((await site.drops("backup")).exit, 0);
    },
    args: (site) => ["drill", "--identity", site.identity],
    exit: 21,
    code: "drill/unproven",
    says: /the drill did not prove this backup: config\/check\/words/,
  },
  {
    name: "an alert that its channel refuses",
    prepare: (site) =>
      site.policy({
        more: `notify: { state_directory: ${site.directory}, channels: [{ name: pager, kind: command, argv: [/bin/false] }] }\n`,
      }),
    args: () => ["notify", "test"],
    exit: 21,
    code: "notify/refused",
    says: /no alert reached pager/,
  },
  {
    name: "a clock that a bucket does not accept",
    prepare: bucketThatAnswers({ answer: 403, code: "RequestTimeTooSkewed" }),
    args: backup,
    exit: 22,
    code: "clock/skewed",
    says: /the clocks of this machine and of s3:\/\/\S+ are/,
  },
  {
    name: "a credential that was revoked",
    prepare: bucketThatAnswers({ answer: 403, code: "AccessDenied" }),
    args: backup,
    exit: 11,
    code: "store/refused",
    says: /access denied/,
  },
  {
    name: "a pin over one that cannot be read",
    prepare: async (site) => {
      assert.equal((await site.drops("pin", "latest", "--why", "first")).exit, 0);
      await writeFile(await fileIn(site, "pins"), "{}");
    },
    args: () => ["pin", "latest", "--why", "second"],
    exit: 22,
    code: "store/exists",
    says: /storing site\/pins\/[0-9a-f]{16}\.json in .*: it exists already\nhint: .*remove it/,
  },
  {
    name: "a login shell that prints a greeting",
    prepare: async (site) => {
      const sshd = await startSshd({ config: ['ForceCommand echo Welcome; sh -c "$SSH_ORIGINAL_COMMAND"'] });
      await site.policy({ host: JSON.stringify({ ssh: sshd.policy }) });
      return sshd;
    },
    args: backup,
    exit: 12,
    code: "host/command-failed",
    says: /the login shell of .* prints text of its own/,
  },
  {
    name: "a record without a signature",
    prepare: async (site) => rm(`${await fileIn(site, "snapshots")}.sig`),
    args: restore,
    exit: 13,
    says: /not signed/,
  },
];

/** What the rows came to, for the last test. */
const reached = { exits: new Set<number>(), codes: new Set<string>() };

for (const { name, prepare, args, exit, code, says, listed = false } of rows) {
  test(`exit ${exit}: ${name}`, async () => {
    await using site = await openSite();
    await using broken = asDisposable(await prepare(site));
    const before = await recordsOf(site);
    const outcome = await site.drops(...args(site), "--json");
    void broken;
    reached.exits.add(outcome.exit);
    if (outcome.code) reached.codes.add(outcome.code);
    assert.equal(outcome.exit, exit, outcome.stderr);
    const { error } = JSON.parse(outcome.stdout); // with --json a report, or the failure
    if (error) assert.equal(error.code, outcome.code);
    if (code) assert.equal(outcome.code, code, outcome.stderr);
    assert.match(outcome.stderr, says);
    const complaint = outcome.stderr.slice(outcome.stderr.indexOf("drops: "));
    assert.match(complaint, /^drops: [^\n]*[^.\n]\n/, "one sentence without a full stop");
    assert.match(outcome.stderr, /\nhint: \S/, "what to do next");
    assert.doesNotMatch(outcome.stderr, /^\s+at .*:\d+:\d+/m, "no stack");
    assert.doesNotMatch(outcome.stdout + outcome.stderr, /AGE-SECRET-KEY|PRIVATE KEY/);
    if (!listed) assert.deepEqual(await recordsOf(site), before, "no new record");
    assert.ok(
      !(await readdir(site.directory)).includes("OUT") ||
        (await readdir(join(site.directory, "OUT"))).length === 0,
    );
  });
}

test("exit 0: nothing is wrong, nothing is complained of", async () => {
  await using site = await openSite();
  const { exit, stdout, code } = await site.drops("snapshots", "--json");
  assert.deepEqual([exit, code, JSON.parse(stdout).snapshots.length], [0, undefined, 1]);
  reached.exits.add(exit);
});

test("exit 1: an installation that lost a package, told as a bug, with its stack", async () => {
  await using site = await openSite();
  const lost = `import { registerHooks } from "node:module";
    registerHooks({ resolve: (name, context, next) => next(name === "yaml" ? "yaml-is-gone" : name, context) });`;
  const child = start(site, ["snapshots"], `data:text/javascript,${encodeURIComponent(lost)}`);
  const { exit, stdout, stderr } = await child.ended;
  assert.equal(exit, 1, stderr);
  assert.match(
    stderr,
    /^drops: Error \[ERR_MODULE_NOT_FOUND\]: Cannot find package 'yaml-is-gone'[^\n]*\n\s+at /,
  );
  assert.match(stderr, /\nthis is a bug: please report it with the lines above\n$/);
  assert.equal(JSON.parse(stdout).error.code, "bug");
  reached.exits.add(exit);
});

test("exit 130: interrupted in the middle of a source, cleaned up", async () => {
  await using site = await openSite();
  const mark = join(site.directory, "begun");
  const argv = JSON.stringify(["sh", "-c", `echo begun; touch ${mark}; exec sleep 600`]);
  await site.policy({ sources: `  - { name: slow, kind: command, argv: ${argv} }\n` });
  const before = await recordsOf(site);
  const child = start(site, ["backup"]);
  await until("the source began", async () => (await readdir(site.directory)).includes("begun"));
  child.kill("SIGINT");
  const { exit, stdout, stderr } = await child.ended;
  assert.equal(exit, 130, stderr);
  assert.match(stderr, /\ndrops: interrupted by SIGINT\n$/, "the person knows what to do");
  assert.deepEqual(await recordsOf(site), before);
  reached.exits.add(exit);
  reached.codes.add(JSON.parse(stdout).error.code);
});

/** Kinds of failure that no command ends with, and why: whoever catches them knows better. */
const NEVER_TOLD: Readonly<Partial<Record<FailureCode, string>>> = {
  "store/missing": "a verb knows what it is that is missing: repository/missing, data/missing",
  "source/incomplete": "its source is stored, and the run ends with backup/partial",
  "notify/unreachable":
    "another try was made already: a channel that was not told is notify/refused in the end",
};

test("every exit code is reached by a test above, and every kind of failure that a command can end with", () => {
  const exits = Object.keys(EXITS).filter((code) => !reached.exits.has(Number(code)));
  assert.deepEqual(exits, []);
  const codes = FAILURE_CODES.filter((code) => !reached.codes.has(code));
  assert.deepEqual(codes, Object.keys(NEVER_TOLD));
});

/** A process of its own; `first` is a module that is loaded before drops. */
function start(site: Site, args: readonly string[], first?: string) {
  const main = new URL("../../src/main.ts", import.meta.url).pathname;
  const policy = join(site.directory, "policy.yaml");
  const before = first === undefined ? [] : ["--import", first];
  const child = spawn(process.execPath, [...before, main, "--policy", policy, ...args, "--json"], {
    env: { ...COMPILE_CACHE, PATH: process.env["PATH"], HOME: site.directory },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]).then(
    ([stdout, stderr, [exit, signal]]) => ({ exit: exit ?? signal, stdout, stderr }),
  );
  return { ended, kill: (name: NodeJS.Signals) => child.kill(name) };
}

async function recordsOf(site: Site): Promise<string[]> {
  return (await site.objects().catch(() => [])).filter((object) => /snapshots\/.*\.json$/.test(object));
}

async function fileIn(site: Site, folder: string): Promise<string> {
  const found = (await site.objects()).find(
    (object) => object.includes(`/site/${folder}/`) && !object.endsWith(".sig"),
  );
  assert.ok(found, `no object in ${folder}`);
  return found;
}

async function flipIn(site: Site, folder: string): Promise<void> {
  const file = await fileIn(site, folder);
  const bytes = await readFile(file);
  const at = bytes.length >> 1;
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  await writeFile(file, bytes);
}

async function replaceIn(file: string, from: string, to: string): Promise<void> {
  const text = await readFile(file, "latin1");
  assert.ok(text.includes(from), `${file} does not hold ${from}`);
  await writeFile(file, text.replace(from, to), "latin1");
}

async function otherIdentity(site: Site): Promise<void> {
  await using other = await openSite();
  const theirs = (await readFile(other.identity, "utf8"))
    .split("\n")
    .find((line) => line.startsWith("AGE-SECRET-KEY"));
  const ours = await readFile(site.identity, "utf8");
  await writeFile(site.identity, ours.replace(/AGE-SECRET-KEY\S+/, theirs ?? ""));
}

function postgresSource(place: { database: string; bin?: string }): Row["prepare"] {
  return async (site) => {
    const postgres = await startPostgres();
    const source = {
      ...postgres.policyFor(place.database, place.bin === undefined ? {} : { bin: place.bin }),
      name: "db",
    };
    await site.policy({ sources: `  - ${JSON.stringify(source)}\n` });
    return postgres;
  };
}

async function rocksdbWithoutSpace(site: Site): Promise<void> {
  const database = join(site.directory, "db");
  await site.policy({ sources: `  - { name: db, kind: rocksdb, path: ${database}, min_free: 999999GiB }\n` });
  const { openRocksdb } = await import("../support/rocksdb-library.ts");
  const db = await openRocksdb(database, { families: 2, create: true });
  await db.close();
}

function sshSite(how: "wrong pin" | "stranger"): Row["prepare"] {
  return async (site) => {
    const sshd = await startSshd();
    const pin = {
      ...sshd.policy,
      host_key: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPoYYhCAPKzVkFSm0yVnGpmY3lW0aK1hT2lq0aZ8mQF",
    };
    const stranger = { ...sshd.policy, key_file: sshd.strangerKeyFile };
    await site.policy({ host: JSON.stringify({ ssh: how === "stranger" ? stranger : pin }) });
    return sshd;
  };
}

/** A server that answers every request so. */
function bucketThatAnswers(mishap: Mishap): Row["prepare"] {
  return async (site) => {
    const proxy = await startFaultProxy("http://127.0.0.1:9");
    proxy.plan({ mishap });
    const file = join(site.keys, "s3");
    await writeFile(file, "AWS_ACCESS_KEY_ID=a\nAWS_SECRET_ACCESS_KEY=b\n", { mode: 0o600 });
    await site.policy({
      store: `{ s3: { endpoint: "${proxy.endpoint}", bucket: drops, region: us-east-1, credentials_file: ${file} } }`,
    });
    return proxy;
  };
}

function asDisposable(value: unknown): AsyncDisposable {
  const found = value as Partial<AsyncDisposable> | undefined;
  return { [Symbol.asyncDispose]: async () => found?.[Symbol.asyncDispose]?.() };
}
