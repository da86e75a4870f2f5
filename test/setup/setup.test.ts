import assert from "node:assert/strict";
import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type { CommandResult, Host } from "../../src/host/host.ts";
import { quote } from "../../src/host/quote.ts";
import { DropsError } from "../../src/lib/errors.ts";
import { parsePolicy } from "../../src/policy/load.ts";
import { interview } from "../../src/setup/interview.ts";
import { type Found, lookFor } from "../../src/setup/look.ts";
import { type Choices, policyText } from "../../src/setup/policy-text.ts";
import { suggest } from "../../src/setup/suggest.ts";
import { overlapsOf } from "../../src/source/overlap.ts";
import { parseStoreUrl } from "../../src/store/store-url.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { openTerminal } from "../support/terminal.ts";

const HOW = { signal: new AbortController().signal };
const main = new URL("../../src/main.ts", import.meta.url).pathname;

const MATRIX: Found = {
  rocksdb: ["/var/lib/homeserver/db"],
  databases: [{ name: "bridge", unit: "bridge.service" }, { name: "Forum_2" }],
  states: [
    { path: "/var/lib/homeserver", unit: "homeserver.service" },
    { path: "/var/lib/systemd/timesync", unit: "systemd-timesyncd.service" },
    { path: "/var/lib/postgresql", unit: "postgresql.service" },
    { path: "/var/lib/forge/data", unit: "forge.service" },
  ],
  leadsTo: {},
  others: [
    { path: "/var/lib/appservices", bytes: 5000 },
    { path: "/var/lib/cache", bytes: 900 * 1024 * 1024 },
  ],
  notes: [],
};

test("what was found is suggested in capture order, each by a name of its own", () => {
  assert.deepEqual(
    suggest(MATRIX).map(({ name, what, units }) => [name, what.kind, ...units]),
    [
      ["bridge-db", "postgres", "bridge.service"],
      ["forum-2-db", "postgres"],
      ["homeserver-rocksdb", "rocksdb", "homeserver.service"],
      ["homeserver", "files", "homeserver.service"],
      ["forge", "files", "forge.service"],
      ["appservices", "files"],
    ],
  );
  const twice = {
    ...MATRIX,
    others: [],
    databases: ["a b", "a-b", "123"].map((name) => ({ name })),
    rocksdb: [],
    states: [],
  };
  assert.deepEqual(
    suggest(twice).map(({ name }) => name),
    ["a-b-db", "a-b-db-2", "data-db"],
  );
});

const SERVER: Choices = {
  name: "server",
  zone: "Europe/Berlin",
  host: "local",
  sshKey: undefined,
  store: { directory: "/srv/backups/server" },
  credentialsFile: undefined,
  keys: "/etc/drops/keys",
  sources: suggest(MATRIX),
};
/** A homeserver with `DynamicUser`: its state is a symlink. Two units share a directory. */
const DYNAMIC: Found = {
  rocksdb: ["/var/lib/private/hs/db"],
  databases: [],
  states: [
    { path: "/var/lib/hs", unit: "hs.service" },
    { path: "/var/lib/bridge", unit: "bridge.service" },
    { path: "/var/lib/bridge/media", unit: "bridge-media.service" },
    { path: "/var/lib/bridge", unit: "bridge-web.service" },
  ],
  others: [],
  leadsTo: { "/var/lib/hs": "/var/lib/private/hs", "/var/lib/bridge": "/var/lib/bridge" },
  notes: [],
};

test("a database behind a symlink belongs to its service, and is excluded from the service's files", () => {
  const all = { ...SERVER, sources: suggest(DYNAMIC) };
  const { policy } = parsePolicy(policyText(all), "made");
  assert.deepEqual(
    policy.sources.map(({ name }) => name),
    ["hs-rocksdb", "hs", "bridge"],
  );
  assert.deepEqual(
    all.sources.map(({ units }) => units),
    [["hs.service"], ["hs.service"], ["bridge.service", "bridge-media.service", "bridge-web.service"]],
  );
  const leads = (path: string) => path.replace(/^\/var\/lib\/hs/, "/var/lib/private/hs");
  assert.deepEqual(overlapsOf(policy.sources, leads), []);
  const [, files] = policy.sources;
  assert.ok(files?.kind === "files" && files.exclude.includes("/var/lib/private/hs/db/MANIFEST-*"));
});

const S3 = parseStoreUrl("s3://b-1/p?endpoint=https://s3.example.org&region=eu&path_style=false");
const texts: readonly { name: string; choices: Partial<Choices>; holds: object }[] = [
  { name: "a server", choices: {}, holds: { host: "local", store: { directory: "/srv/backups/server" } } },
  {
    name: "a machine behind SSH, with a key",
    choices: { host: { address: "10.0.0.1", user: "backup", port: 2222 }, sshKey: "/k" },
    holds: { host: { ssh: { address: "10.0.0.1", user: "backup", port: 2222, key_file: "/k" } } },
  },
  {
    name: "S3 with a file of credentials",
    choices: { store: S3, credentialsFile: "/etc/drops/keys/s3" },
    holds: {
      store: {
        s3: {
          bucket: "b-1",
          prefix: "p",
          endpoint: "https://s3.example.org",
          region: "eu",
          path_style: false,
          credentials_file: "/etc/drops/keys/s3",
        },
      },
    },
  },
  {
    name: "paths that YAML would read as something else",
    choices: {
      sources: ["/srv/a, b]", "/srv/c: d # e", "/srv/'f'", "/srv/nul\u0001"].map((path, index) => ({
        name: `s${index}`,
        what: { kind: "files" as const, path, exclude: [`${path}/*`] },
        units: [],
      })),
    },
    holds: {},
  },
];
for (const { name, choices, holds } of texts) {
  test(`the text is a policy that says what was chosen: ${name}`, () => {
    const all = { ...SERVER, ...choices };
    const { policy } = parsePolicy(policyText(all), "made");
    for (const [key, value] of Object.entries(holds))
      assert.deepEqual(policy[key as keyof typeof policy], value);
    assert.deepEqual(
      policy.sources.map((source) =>
        source.kind === "files" ? [source.paths, source.exclude] : [source.kind, source.name],
      ),
      all.sources.map(({ name, what }) =>
        what.kind === "files" ? [[what.path], what.exclude] : [what.kind, name],
      ),
    );
  });
}

test("services whose data is backed up are stopped while it is put back", () => {
  const { policy } = parsePolicy(policyText(SERVER), "made");
  assert.deepEqual(
    policy.restore.units.map(({ unit }) => unit),
    ["homeserver.service", "forge.service", "bridge.service"],
    "those on RocksDB first, those that have a database alone last",
  );
  const files = policy.sources.find(({ name }) => name === "homeserver");
  assert.ok(files?.kind === "files" && files.exclude.includes("/var/lib/homeserver/db/MANIFEST-*"));
});

/** Answers in turn; what is asked beyond them is a test that is wrong. */
async function interviewed(
  answers: readonly string[],
  found: Found | DropsError = MATRIX,
  links: Readonly<Record<string, string>> = {},
) {
  const left = [...answers];
  const [asked, said]: [string[], string[]] = [[], []];
  const choices = await interview(
    {
      interviewer: {
        ask: async (question) => {
          asked.push(question);
          const answer = left.shift();
          assert.ok(answer !== undefined, `asked beyond the answers: ${question}`);
          return answer;
        },
      },
      say: (line) => said.push(line),
      defaults: { name: "server", zone: "UTC", keys: "/k" },
      parseHost: (address) => {
        if (address.includes(" ")) throw new DropsError("usage/invalid", "no address");
        return { address };
      },
      look: async () => {
        if (found instanceof DropsError) throw found;
        return found;
      },
      realPath: async (path) => links[path] ?? path,
    },
    HOW,
  );
  assert.deepEqual(left, [], "every answer was asked for");
  return { choices, asked, said };
}

test("with nothing but defaults, everything that was found is backed up", async () => {
  const { choices, said } = await interviewed(Array.from({ length: 13 }, () => ""));
  assert.deepEqual(said, [
    "  left out: /var/lib/cache (900 MiB), which no running service names; name it below if it matters",
  ]);
  assert.deepEqual(choices, { ...SERVER, zone: "UTC", keys: "/k", sources: suggest(MATRIX) });
});

test("an answer that does not do is explained and asked for again", async () => {
  const { choices, said } = await interviewed([
    ...["Bad Name", "good", "no where", "other", "relative/key", "/key", "Mars", "UTC"],
    ...["perhaps", "no", "", "relative", "/srv/a", "/srv/b/", ""],
    ...["ftp://x", "s3://key@bucket/p", "s3://bucket/p?endpoint=https://s3.example.org", "", ""],
  ]);
  assert.equal(choices.name, "good");
  assert.deepEqual([choices.host, choices.sshKey], [{ address: "other" }, "/key"]);
  assert.deepEqual(
    choices.sources.map(({ name, what }) => [name, what.kind === "files" && what.path]),
    [
      ["a", "/srv/a"],
      ["b", "/srv/b/"],
    ],
  );
  assert.equal(choices.credentialsFile, "/k/s3");
  assert.equal(said.length, 9, said.join("\n"));
  parsePolicy(policyText(choices), "made");
});

test("a directory that is in a source already makes no second one; one that holds sources excludes them", async () => {
  const links = { "/srv/hs": "/var/lib/private/hs/media", "/srv/all": "/var/lib" };
  const { choices, said } = await interviewed(
    ["", "", "", "", "", "", "no", "/srv/hs", "/srv/all", "", "", ""],
    DYNAMIC,
    links,
  );
  assert.deepEqual(said, ["  /srv/hs is in source hs already"]);
  assert.deepEqual(
    choices.sources.map(({ name }) => name),
    ["hs-rocksdb", "hs", "all"],
  );
  const all = choices.sources.at(-1)?.what;
  assert.ok(all?.kind === "files");
  assert.deepEqual(
    [all.exclude.includes("/var/lib/private/hs/db/CURRENT"), all.exclude.at(-1)],
    [true, "/var/lib/private/hs"],
  );
});

test("after five answers that do not do it gives up", async () => {
  await assert.rejects(interviewed(["A", "B", "C", "D", "E"]), { code: "usage/invalid" });
});

test("a host that cannot be looked at is no reason to stop", async () => {
  const lost = new DropsError("host/unreachable", "no answer", { hint: "switch it on" });
  const { choices, said } = await interviewed(["", "h", "", "", "", "/srv/a", "", "", ""], lost);
  assert.equal(choices.sources.length, 1);
  assert.equal(said[0], "  no answer (switch it on)");
});

test("a look at this machine finds a RocksDB and changes nothing", async () => {
  await using scratch = await scratchDirectory();
  const places: readonly (readonly [string, readonly string[]])[] = [
    ["a b/db", ["CURRENT", "IDENTITY", "MANIFEST-000004"]],
    ["no-manifest", ["CURRENT", "IDENTITY"]],
    ["other", ["CURRENT"]],
  ];
  for (const [directory, files] of places) {
    await mkdir(join(scratch.path, directory), { recursive: true });
    for (const file of files) await writeFile(join(scratch.path, directory, file), "");
  }
  const { openLocalHost } = await import("../../src/host/local.ts");
  await using local = await openLocalHost();
  const asked: string[] = [];
  // the same script, over the scratch directory instead of the machine's own
  const here: Host = {
    ...local,
    run: async (argv, how): Promise<CommandResult> => {
      asked.push(argv[0] ?? "");
      if (argv[0] === "psql")
        return {
          exit: 0,
          signal: undefined,
          stdout: Buffer.from("a\0owner\0 \0owner\0b\0owner\0"),
          stderr: "",
        };
      const script = argv.map((word) => word.replace("/var/lib /srv /opt", quote(scratch.path)));
      return local.run(script, how);
    },
  };
  const found = await lookFor(here, HOW);
  assert.deepEqual(found.rocksdb, [join(scratch.path, "a b/db")]);
  assert.deepEqual(found.databases, [{ name: "a" }, { name: "b" }]);
  assert.deepEqual(found.notes, ["the database   has a name that a policy cannot hold: it is left out"]);
  assert.deepEqual(asked, ["sh", "sh", "psql", "sh"]);
});

test("drops init on a terminal writes a policy, keys and a repository, and the policy works", async () => {
  await using scratch = await scratchDirectory();
  const [policy, keys, store] = ["policy.yaml", "keys", "store"].map((name) => join(scratch.path, name)) as [
    string,
    string,
    string,
  ];
  await mkdir(join(scratch.path, "data"));
  const drops = (args: string) => `exec ${quote(process.execPath)} ${quote(main)} ${args}`;
  const env = { HOME: scratch.path, TZ: "Europe/Berlin", NO_COLOR: "1" };
  await using terminal = openTerminal(drops(`init --policy ${quote(policy)}`), { env, cwd: scratch.path });
  const answers: readonly (readonly [RegExp, string])[] = [
    [/is called \[.*\]: /, "small"],
    [/the machine to back up.*: /, ""],
    [/time zone \[Europe\/Berlin\]: /, ""],
    [/look at it .*: /, "no"],
    [/a directory to back up: /, join(scratch.path, "data")],
    [/another directory.*: /, ""],
    [/where backups go.*: /, store],
    [/directory of the keys \[.*\/keys\]: /, ""],
    [/write this to .*: /, ""],
    [/make the keys in .*: /, ""],
    [/make the repository.*: /, ""],
  ];
  for (const [question, answer] of answers) {
    await terminal.until(question);
    terminal.type(`${answer}\n`);
  }
  await terminal.until(/next:\s+drops doctor --policy .*\s+drops backup --policy /);
  assert.equal(await terminal.ended(), 0, terminal.shown());
  assert.match(
    terminal.shown().replaceAll(/\s+/g, " "),
    /WARNING: the store \S*store lies on the same disk as \S*data/,
  );
  assert.doesNotMatch(terminal.shown(), /AGE-SECRET-KEY|PRIVATE KEY/);
  assert.equal((await stat(policy)).mode & 0o777, 0o600);
  const { drops: run } = await import("../support/in-process.ts");
  const backup = await run(["backup", "--policy", policy]);
  assert.equal(backup.exit, 0, backup.stderr);

  // now there is a policy: the same words make no second one
  const before = await readFile(policy, "utf8");
  await using again = openTerminal(drops(`init --policy ${quote(policy)}`), { env, cwd: scratch.path });
  await again.until(/there is a repository in .* already/);
  assert.equal(await again.ended(), 22);
  assert.equal(await readFile(policy, "utf8"), before);
  assert.ok((await stat(keys)).isDirectory());
});

for (const [keys, exit] of [
  ["\u0003", 130],
  ["\u0004", 130],
] as const) {
  test(`Ctrl-${keys === "\u0003" ? "C" : "D"} at a question leaves nothing`, async () => {
    await using scratch = await scratchDirectory();
    const policy = join(scratch.path, "policy.yaml");
    const command = `exec ${quote(process.execPath)} ${quote(main)} init --policy ${quote(policy)}`;
    await using terminal = openTerminal(command, { env: { HOME: scratch.path }, cwd: scratch.path });
    await terminal.until(/is called \[.*\]: /);
    terminal.type(keys);
    assert.equal(await terminal.ended(), exit, terminal.shown());
    await assert.rejects(stat(policy));
  });
}

test("without a terminal nobody is asked", async () => {
  const { drops } = await import("../support/in-process.ts");
  const outcome = await drops(["init", "--policy", "./none.yaml"]);
  assert.equal(outcome.exit, 2);
  assert.match(outcome.stderr, /cannot read the policy \.\/none\.yaml: no such file/);
});
