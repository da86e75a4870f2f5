import assert from "node:assert/strict";
import { chmod, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { DrillResult } from "../../src/drill/drill.ts";
import { isFailure } from "../../src/lib/errors.ts";
import { parsePolicy } from "../../src/policy/load.ts";
import type { BlobStore } from "../../src/store/blob-store.ts";
import { trustOf } from "../../src/trust/trust.ts";
import { Objects } from "../support/altered-store.ts";
import { type Drillable, type DrillChange, drillable, REGISTRATION } from "../support/drillable.ts";
import { forgeSnapshot, manifestLines } from "../support/forgery.ts";
import { scratchDirectory } from "../support/scratch.ts";

let site: Drillable;
before(async () => {
  site = await drillable();
});
after(() => site[Symbol.asyncDispose]());

test("a good snapshot is proven by every check there is, and nothing is left behind", async () => {
  await using work = await scratchDirectory();
  await chmod(work.path, 0o755);
  const { verdict, book, whole, objectives } = await site.drill({ work: work.path });
  assert.deepEqual(
    book.checks.filter(({ outcome }) => outcome !== "passed"),
    [],
  );
  assert.deepEqual(
    book.checks.map(({ id }) => id),
    [
      "signature",
      "bridge-db/restore",
      "bridge-db/server",
      "bridge-db/start",
      "bridge-db/roles",
      "bridge-db/extensions",
      "bridge-db/database",
      "bridge-db/load",
      "bridge-db/rows",
      "bridge-db/privileges",
      "homeserver-db/restore",
      "homeserver-db/blocks",
      "files/restore",
      "files/registrations",
      "bridge/restore",
      "bridge/registrations",
      "bundle/restore",
      "bundle/output",
      "guided-plan",
      "appservice/as_token",
      "appservice/hs_token",
      "appservice/id",
      "appservice/address",
      "appservice/sender_localpart",
      "appservice/domain",
      "appservice/bot",
      "appservice/pickle_key",
      "bridge-db/check/portals are there",
      "bridge-db/check/no superuser",
      "homeserver-db/check/cannot gain power",
      "homeserver-db/library",
      "files/check/media is there",
      "coverage",
      "rpo",
      "rto",
    ],
  );
  assert.deepEqual([verdict, whole], ["proven", true]);
  const untested = book.notTested.map(({ what }) => what);
  assert.deepEqual(untested, ["the homeserver's own copy of the registration"]);
  assert.match(found("bridge-db/rows", book), /^counts and digests of 13 tables, \d{3} rows, 1 sequences$/);
  assert.match(found("homeserver-db/library", book), /^\d{4} keys in 4 column families/);
  assert.ok((objectives.restoreSeconds ?? 0) > 0 && (objectives.loadSeconds ?? 0) > 0);
  assert.deepEqual(await readdir(work.path), []);
});

interface Row {
  readonly name: string;
  /** What the drill is given instead. */
  readonly change: () => Promise<DrillChange>;
  /** The one check that fails, how, and what it says. */
  readonly check: string;
  readonly outcome: "failed" | "damaged" | "could-not-run";
  readonly says: RegExp;
  readonly hint?: RegExp;
}

const rows: readonly Row[] = [
  {
    name: "a row that is not in the dump",
    change: () => withFacts("bridge-db", (facts) => ({ ...facts, tables: oneRowMore(facts["tables"]) })),
    check: "bridge-db/rows",
    outcome: "failed",
    says: /^table public\.message has 300 rows instead of 301$/,
  },
  {
    name: "a row with another content",
    change: () => withFacts("bridge-db", (facts) => ({ ...facts, tables: otherDigest(facts["tables"]) })),
    check: "bridge-db/rows",
    outcome: "failed",
    says: /^table public\.message has other rows than captured$/,
  },
  {
    name: "an extension that this machine has not",
    change: () => withFacts("bridge-db", (facts) => ({ ...facts, extensions: [extension("vector")] })),
    check: "bridge-db/extensions",
    outcome: "could-not-run",
    says: /^not here: vector$/,
    hint: /^apt-get install postgresql-\d+-pgvector$/,
  },
  {
    name: "a locale that this machine has not",
    change: () => withFacts("bridge-db", (facts) => ({ ...facts, collate: "tlh_QO", ctype: "tlh_QO" })),
    check: "bridge-db/database",
    outcome: "failed",
    says: /invalid locale name: "tlh_QO"/,
  },
  {
    name: "a role that roles.sql does not make",
    change: () => withFacts("bridge-db", (facts) => ({ ...facts, roles: ["nobody-knows-me"] })),
    check: "bridge-db/roles",
    outcome: "failed",
    says: /^roles\.sql does not make nobody-knows-me$/,
  },
  {
    name: "a dump of a newer PostgreSQL",
    change: () =>
      withFacts("bridge-db", (facts) => ({ ...facts, server: { version: "99.1", version_num: "990001" } })),
    check: "bridge-db/server",
    outcome: "could-not-run",
    says: /is here, the dump is of 99\.1$/,
    hint: /postgresql-99 /,
  },
  {
    name: "no PostgreSQL programs",
    change: async () => ({ only: ["bridge-db"], programDirectories: ["/nonexistent"] }),
    check: "bridge-db/server",
    outcome: "could-not-run",
    says: /^there is no PostgreSQL server/,
    hint: /^apt-get install postgresql-\d+/,
  },
  {
    name: "a flipped bit in a pack",
    change: async () => ({ only: ["files"], store: await altered("files", flipped) }),
    check: "files/restore",
    outcome: "damaged",
    says: /.*/,
  },
  {
    name: "a pack that is gone",
    change: async () => ({ only: ["bridge-db"], store: await altered("bridge-db", () => undefined) }),
    check: "bridge-db/restore",
    outcome: "damaged",
    says: /.*/,
  },
  {
    name: "a table that is not in the manifest",
    change: () => withEntries("homeserver-db", (entries) => withoutOne(entries, /\.sst$/)),
    check: "homeserver-db/restore",
    outcome: "damaged",
    says: /\d+\.sst/,
  },
  {
    name: "a registration with another token",
    change: () => withRegistration((text) => text.replace("as-secret-token", "as-other-token")),
    check: "appservice/as_token",
    outcome: "failed",
    says: /^differs \(the registration: 14 characters; config\.yaml: 15 characters\)$/,
    hint: /do not generate the registration anew/,
  },
  {
    name: "a homeserver that does not know the bridge",
    change: async () => {
      const text = site.rehearsal.parts.policyText.replace(
        'config.yaml" }',
        'config.yaml", homeserver: homeserver-db }',
      );
      const policy = { policy: parsePolicy(text, "homeserver.yaml").policy, sha256: "0".repeat(64) };
      return { only: ["files", "bridge", "homeserver-db"], policy };
    },
    check: "appservice/homeserver's copy",
    outcome: "failed",
    says: /^could not be read: .*id_appserviceregistrations/,
    hint: /show-appservice-config/,
  },
  {
    name: "a registration without a token",
    change: () => withRegistration((text) => text.replace(/^as_token.*\n/m, ""), ["files"]),
    check: "files/registrations",
    outcome: "failed",
    says: /slack\.yaml is malformed at as_token$/,
  },
  {
    name: "SQL that answers false",
    change: () => withCheck(`{ name: x, source: bridge-db, sql: "SELECT count(*) < 0 FROM portal" }`),
    check: "bridge-db/check/x",
    outcome: "failed",
    says: /^it answered "f" instead of true$/,
  },
  {
    name: "SQL that fails",
    change: () => withCheck(`{ name: x, source: bridge-db, sql: "SELECT true FROM nothing" }`),
    check: "bridge-db/check/x",
    outcome: "failed",
    says: /relation "nothing" does not exist/,
  },
  {
    name: "SQL that writes",
    change: () => withCheck(`{ name: x, source: bridge-db, sql: "DELETE FROM portal RETURNING true" }`),
    check: "bridge-db/check/x",
    outcome: "failed",
    says: /read-only transaction/,
  },
  {
    name: "SQL that would run a program",
    change: () =>
      withCheck(`{ name: x, source: bridge-db, sql: "COPY portal (name) FROM PROGRAM 'echo true'" }`),
    check: "bridge-db/check/x",
    outcome: "failed",
    says: /must be superuser|permission denied to COPY/,
  },
  {
    name: "SQL that is a command of psql",
    change: () => withCheck(`{ name: x, source: bridge-db, sql: '\\! echo t' }`),
    check: "bridge-db/check/x",
    outcome: "failed",
    says: /syntax error at or near "\\"/,
  },
  {
    name: "SQL that never ends",
    change: async () => ({
      ...(await withCheck(`{ name: x, source: bridge-db, sql: "SELECT true FROM pg_sleep(600)" }`)),
      checkLimitMs: 1000,
    }),
    check: "bridge-db/check/x",
    outcome: "failed",
    says: /^it took longer than 1 s/,
  },
  {
    name: "a command that fails",
    change: () =>
      withCheck("{ name: x, source: files, command: [sh, -c, 'echo no repository >&2; exit 3'] }"),
    check: "files/check/x",
    outcome: "failed",
    says: /^exit status 3: no repository$/,
  },
  {
    name: "a command that never ends",
    change: async () => ({
      ...(await withCheck("{ name: x, source: files, command: [sleep, '600'] }")),
      checkLimitMs: 500,
    }),
    check: "files/check/x",
    outcome: "failed",
    says: /^it took longer than 0\.5 s/,
  },
  {
    name: "a command that is not installed",
    change: () => withCheck("{ name: x, source: files, command: [no-such-program] }"),
    check: "files/check/x",
    outcome: "could-not-run",
    says: /^"no-such-program" cannot be run here/,
  },
  {
    name: "a command that the backed-up machine wrote into its policy",
    change: async () => ({ only: ["files"], policy: undefined }),
    check: "files/check/media is there",
    outcome: "could-not-run",
    says: /comes from the policy in the snapshot/,
    hint: /--run-commands/,
  },
  {
    name: "the library is not installed and must be",
    change: async () => ({ only: ["homeserver-db"], requireLibrary: true, libraryFrom: "/nonexistent/x.js" }),
    check: "homeserver-db/library",
    outcome: "could-not-run",
    says: /is not installed here$/,
    hint: /^npm install/,
  },
  {
    name: "a backup that is too old",
    change: async () => ({ only: ["bundle"], now: () => new Date(Date.now() + 25 * 3_600_000) }),
    check: "rpo",
    outcome: "failed",
    says: /^9\d{4} s old, 86400 s are allowed$/,
  },
  {
    name: "a restore that takes too long",
    change: async () => ({
      only: ["bundle"],
      store: slow(site.rehearsal.store),
      policy: policyWith("rto: 1s\n"),
    }),
    check: "rto",
    outcome: "failed",
    says: /, 1 s are allowed$/,
  },
  {
    name: "a record that nobody signed",
    change: async () => ({ only: ["bundle"], trust: trustOf(undefined, { allowUnsigned: true }) }),
    check: "signature",
    outcome: "failed",
    says: /^nobody who is trusted signed it/,
  },
  {
    name: "a source that no backup covers yet",
    change: async () => ({ policy: policyWith("", "  - { name: new, kind: command, argv: [date] }\n") }),
    check: "coverage",
    outcome: "failed",
    says: /^not in it: new$/,
  },
];

for (const row of rows) {
  test(`${row.name}: the drill fails at ${row.check}`, async () => {
    const { book, verdict } = await site.drill(await row.change());
    const bad = book.checks.filter(({ outcome }) => outcome !== "passed");
    assert.deepEqual(
      bad.map(({ id, outcome }) => ({ id, outcome })),
      [{ id: row.check, outcome: row.outcome }],
      JSON.stringify(bad),
    );
    assert.match(bad[0]?.found ?? "", row.says);
    if (row.hint) assert.match(bad[0]?.hint ?? "", row.hint);
    assert.equal(verdict, row.outcome === "damaged" ? "damaged" : "unproven");
  });
}

test("what comes after a check that failed is not tested, and said so", async () => {
  const { book } = await site.drill({ only: ["bridge-db"], programDirectories: [] });
  const { checks, notTested } = book;
  assert.equal(
    checks.find(({ id }) => id === "bridge-db/check/portals are there"),
    undefined,
  );
  assert.ok(
    notTested.some(({ what, why }) => /portals are there/.test(what) && /could not be rebuilt/.test(why)),
  );
  assert.ok(notTested.some(({ what }) => what === "source files"));
});

test("without the library drops' own readers are enough, and the page says that it was not there", async () => {
  const { verdict, book } = await site.drill({ only: ["homeserver-db"], libraryFrom: "/nonexistent/x.js" });
  assert.equal(verdict, "proven");
  assert.ok(book.notTested.some(({ what, why }) => /library/.test(what) && /not installed/.test(why)));
});

test("a drill that is broken off ends its server and leaves nothing", async () => {
  await using work = await scratchDirectory();
  await chmod(work.path, 0o755);
  const stop = new AbortController();
  const say = (line: string) => {
    if (line.startsWith("bridge-db: a scratch server starts")) stop.abort(new Error("enough"));
  };
  const drill = site.drill({ work: work.path, say, signal: stop.signal, only: ["bridge-db"] });
  await assert.rejects(drill, /enough/);
  assert.deepEqual(await readdir(work.path), []);
  assert.deepEqual(await processesOf(work.path), []);
});

test("a work directory that the sandbox cannot enter is said at once", async () => {
  if (process.getuid?.() !== 0) return; // then it is our own, and we enter it
  await using work = await scratchDirectory();
  await assert.rejects(site.drill({ work: work.path, only: ["bundle"] }), (error) => {
    assert.ok(isFailure(error, "usage/invalid"));
    assert.match(error.message, /^user nobody of the sandbox cannot enter /);
    return true;
  });
  assert.deepEqual(await readdir(work.path), []);
});

test("checks meet no secret of whoever drills", async () => {
  process.env["DROPS_TEST_SECRET"] = "a secret";
  const command = '[sh, -c, \'test -z "$DROPS_TEST_SECRET" && test "$(id -u)" != 0\']';
  const checked = await withCheck(`{ name: x, source: files, command: ${command} }`);
  const { book } = await site.drill(checked);
  delete process.env["DROPS_TEST_SECRET"];
  assert.deepEqual(
    book.checks.filter(({ outcome }) => outcome !== "passed"),
    [],
  );
});

/** Command lines that name a path. */
async function processesOf(path: string): Promise<string[]> {
  const lines: string[] = [];
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const line = await readFile(`/proc/${name}/cmdline`, "utf8").catch(() => "");
    if (line.includes(path)) lines.push(line.replaceAll("\0", " "));
  }
  return lines;
}

type Facts = Record<string, unknown>;
type Line = Record<string, unknown>;

function found(id: string, book: DrillResult["book"]): string {
  return book.checks.find((check) => check.id === id)?.found ?? "";
}

const extension = (name: string) => ({ name, version: "1.0", schema: "public" });
const oneRowMore = (tables: unknown) =>
  (tables as Line[]).map((table) => (table["name"] === "message" ? { ...table, rows: "301" } : table));
const otherDigest = (tables: unknown) =>
  (tables as Line[]).map((table) => (table["name"] === "message" ? { ...table, digest: "v1:00" } : table));
const flipped = (bytes: Buffer): Buffer => {
  bytes.writeUInt8(bytes.readUInt8(bytes.length >> 1) ^ 1, bytes.length >> 1);
  return bytes;
};

function withoutOne(entries: readonly Line[], path: RegExp): Line[] {
  const at = entries.findIndex((entry) => path.test(String(entry["path"])));
  assert.ok(at >= 0);
  return entries.toSpliced(at, 1);
}

/** A drill of a snapshot whose source has other facts: what was captured is then not what comes back. */
async function withFacts(source: string, change: (facts: Facts) => Facts): Promise<DrillChange> {
  return forged(source, (head, entries) => ({
    head: { ...head, facts: change(head["facts"] as Facts) },
    entries,
  }));
}

async function withEntries(
  source: string,
  change: (entries: readonly Line[]) => Line[],
): Promise<DrillChange> {
  return forged(source, (head, entries) => ({ head, entries: change(entries) }));
}

async function forged(
  source: string,
  change: (head: Line, entries: readonly Line[]) => { head: Line; entries: readonly Line[] },
): Promise<DrillChange> {
  const { rehearsal, record } = site;
  const store = await (await Objects.of(rehearsal.store)).asStore();
  const part = record.sources.find(({ name }) => name === source);
  assert.ok(part?.manifest && part.list);
  const lines = (await manifestLines(rehearsal, record.policy, part.manifest.sha256)) as Line[];
  const [head = {}] = lines;
  const list = await rehearsal.store.get(`${record.policy}/lists/${part.list.sha256}`, {
    signal: new AbortController().signal,
    maxSize: 2 ** 20,
  });
  const forgery = { source, ...change(head, lines.slice(1, -1)), list: () => Buffer.from(list).toString() };
  const made = await forgeSnapshot({ ...rehearsal, store }, record, forgery);
  return { store, only: [source], choice: { id: made.record.id } };
}

/** A drill of a night on which the registration was another one. */
async function withRegistration(
  change: (text: string) => string,
  only: readonly string[] = ["files", "bridge"],
): Promise<DrillChange> {
  const { rehearsal } = site;
  const file = join(rehearsal.directory, "appservices", "slack.yaml");
  const store = await (await Objects.of(rehearsal.store)).asStore();
  await writeFile(file, change(REGISTRATION));
  try {
    const { record } = await rehearsal.night({ store }, { only });
    return { store, only, choice: { id: record.id } };
  } finally {
    await writeFile(file, REGISTRATION);
  }
}

/** The same store, with one pack of a source changed or removed. */
async function altered(source: string, change: (pack: Buffer) => Buffer | undefined): Promise<BlobStore> {
  const { rehearsal, record } = site;
  const objects = await Objects.of(rehearsal.store);
  const list = record.sources.find(({ name }) => name === source)?.list?.sha256 ?? "";
  const path = /(packs\/\S+)/.exec(objects.get(`${record.policy}/lists/${list}`).toString())?.[1];
  const key = `${record.policy}/${path}`;
  const changed = change(objects.get(key));
  if (changed === undefined) objects.remove(key);
  else objects.set(key, changed);
  return objects.asStore();
}

function policyWith(more: string, sources = ""): NonNullable<DrillChange["policy"]> {
  const text = site.rehearsal.parts.policyText.replace("restore:\n", `${sources}${more}restore:\n`);
  return { policy: parsePolicy(text, "changed.yaml").policy, sha256: "0".repeat(64) };
}

/** A drill of the check's source alone, with that one check. */
async function withCheck(check: string): Promise<DrillChange> {
  const text = site.rehearsal.parts.policyText.replace(
    /restore:[\s\S]*$/,
    `restore:\n  checks: [${check}]\n`,
  );
  const source = /source: ([a-z-]+)/.exec(check)?.[1] ?? "";
  return {
    only: [source],
    policy: { policy: parsePolicy(text, "checks.yaml").policy, sha256: "0".repeat(64) },
  };
}

function slow(store: BlobStore): BlobStore {
  return {
    label: store.label,
    checksumsFrom: store.checksumsFrom,
    checksum: (key, how) => store.checksum(key, how),
    now: (how) => store.now(how),
    list: (prefix, how) => store.list(prefix, how),
    put: (key, bytes, how) => store.put(key, bytes, how),
    remove: (key, how) => store.remove(key, how),
    removeAll: (keys, how) => store.removeAll(keys, how),
    async get(key, how) {
      if (key.includes("/packs/")) await new Promise((resolve) => setTimeout(resolve, 1200));
      return store.get(key, how);
    },
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}
