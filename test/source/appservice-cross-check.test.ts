import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { checkAppservice } from "../../src/source/appservice/check.ts";
import { type AppserviceState, crossCheckAppservice } from "../../src/source/appservice/cross-check.ts";
import { admits, isOfDomain } from "../../src/source/appservice/namespaces.ts";
import { localDatabase } from "../../src/source/rocksdb/verify/database-files.ts";
import { openFamilies } from "../support/rocksdb-library.ts";

const signal = new AbortController().signal;
const AS = `SECRET-as-${"a".repeat(40)}`;
const HS = `SECRET-hs-${"b".repeat(40)}`;
const OTHER = `SECRET-other-${"c".repeat(40)}`;

const REGISTRATION = `id: slack
url: http://127.0.0.1:29335
as_token: ${AS}
hs_token: ${HS}
sender_localpart: q8rGfV
rate_limited: false
namespaces:
  users:
    - regex: ^@slackbot:example\\.org$
      exclusive: true
    - regex: ^@slack_.*:example\\.org$
      exclusive: true
`;
const CONFIG = `homeserver:
  address: http://127.0.0.1:6167
  domain: example.org
appservice:
  address: http://127.0.0.1:29335
  id: slack
  bot:
    username: slackbot
  username_template: slack_{{.}}
  as_token: ${AS}
  hs_token: ${HS}
encryption:
  allow: true
  pickle_key: SECRET-pickle
`;

const bytes = (text: string) => Buffer.from(text);
const stored = (yaml: string, id = "slack") => [{ id, yaml: bytes(yaml) }];

function state(
  change: { registration?: string; config?: string; stored?: AppserviceState["homeserver"] } = {},
): AppserviceState {
  return {
    registration: bytes(change.registration ?? REGISTRATION),
    config: bytes(change.config ?? CONFIG),
    homeserver: "stored" in change ? change.stored : stored(change.registration ?? REGISTRATION),
  };
}

/** Names of what does not fit. */
function broken(given: AppserviceState): readonly string[] {
  const findings = crossCheckAppservice(given);
  for (const { ok, hint } of findings) assert.equal(hint === undefined, ok, "every bad finding has a hint");
  assert.doesNotMatch(JSON.stringify(findings), /SECRET/);
  return findings.filter(({ ok }) => !ok).map(({ name }) => name);
}

const replaced = (text: string, from: string | RegExp, to: string) => {
  const changed = text.replace(from, to);
  assert.notEqual(changed, text, `${String(from)} is not in the text`);
  return changed;
};
const registration = (from: string | RegExp, to: string) => replaced(REGISTRATION, from, to);
const config = (from: string | RegExp, to: string) => replaced(CONFIG, from, to);

const table: readonly { name: string; given: AppserviceState; broken: readonly string[] }[] = [
  { name: "all that fits", given: state(), broken: [] },
  { name: "without a look at the homeserver", given: state({ stored: undefined }), broken: [] },
  {
    name: "registration not there",
    given: { ...state(), registration: undefined },
    broken: ["registration"],
  },
  {
    name: "neither there",
    given: { ...state(), registration: undefined, config: undefined },
    broken: ["registration", "config"],
  },
  {
    name: "another as_token in the config",
    given: state({ config: config(AS, OTHER) }),
    broken: ["as_token"],
  },
  {
    name: "another hs_token in the config",
    given: state({ config: config(HS, OTHER) }),
    broken: ["hs_token"],
  },
  {
    name: "generated anew after the snapshot of the homeserver",
    given: state({
      stored: stored(registration(AS, OTHER).replace(HS, OTHER).replace("q8rGfV", "before")),
    }),
    broken: ["as_token", "hs_token", "sender_localpart"],
  },
  {
    name: "tokens that were never written into the config",
    given: state({ config: config(AS, "This value is generated when generating the registration") }),
    broken: ["as_token"],
  },
  {
    name: "no tokens in the config",
    given: state({ config: config(/ {2}.s_token.*\n/g, "") }),
    broken: ["as_token", "hs_token"],
  },
  {
    name: "another id in the config",
    given: state({ config: config("id: slack", "id: slack2") }),
    broken: ["id"],
  },
  { name: "no id in the config", given: state({ config: config("  id: slack\n", "") }), broken: [] },
  {
    name: "the bridge listens elsewhere",
    given: state({ config: config("29335", "29336") }),
    broken: ["address"],
  },
  {
    name: "a slash at the end of the address",
    given: state({ config: config("29335", "29335/") }),
    broken: [],
  },
  {
    name: "the homeserver calls elsewhere",
    given: state({ stored: stored(registration("29335", "29336")) }),
    broken: ["address"],
  },
  {
    name: "another server",
    given: state({ config: config("domain: example.org", "domain: example.com") }),
    broken: ["domain", "bot"],
  },
  {
    name: "namespaces of another server in the homeserver's copy",
    given: state({ stored: stored(registration("slack_.*:example\\.org", "slack_.*:example\\.com")) }),
    broken: ["domain"],
  },
  {
    name: "another template of users",
    given: state({ config: config("slack_{{.}}", "workspace_{{.}}") }),
    broken: ["domain"],
  },
  { name: "another bot", given: state({ config: config("slackbot", "robot") }), broken: ["bot"] },
  { name: "the sender is the bot", given: state({ config: config("slackbot", "q8rGfV") }), broken: [] },
  {
    name: "no users reserved",
    given: state({ registration: registration(/users:[\s\S]*/, "users: []\n") }),
    broken: ["domain", "bot"],
  },
  {
    name: "encryption without a key",
    given: state({ config: config(/ {2}pickle_key.*\n/, "") }),
    broken: ["pickle_key"],
  },
  {
    name: "a key that would be generated",
    given: state({ config: config("SECRET-pickle", "generate") }),
    broken: ["pickle_key"],
  },
  {
    name: "no encryption, no key",
    given: state({ config: config(/encryption:[\s\S]*/, "") }),
    broken: [],
  },
  { name: "never registered", given: state({ stored: [] }), broken: ["homeserver's copy"] },
  {
    name: "registered under another name",
    given: state({ stored: stored(REGISTRATION, "discord") }),
    broken: ["homeserver's copy"],
  },
  {
    name: "the homeserver's copy is no YAML",
    given: state({ stored: stored(`as_token: [${AS}`) }),
    broken: ["homeserver's copy"],
  },
  {
    name: "the homeserver's copy calls itself otherwise",
    given: state({ stored: stored(registration("id: slack", "id: other")) }),
    broken: ["homeserver's copy"],
  },
  {
    name: "a registration cut short",
    given: state({ registration: REGISTRATION.slice(0, 60) }),
    broken: ["registration"],
  },
  { name: "a config that is a list", given: state({ config: "- 1" }), broken: ["config"] },
  {
    name: "a config of a megabyte",
    given: state({ config: `${CONFIG}#${"x".repeat(2 ** 20)}` }),
    broken: ["config"],
  },
  {
    name: "a config that is nested without end",
    given: state({ config: `a: ${"[".repeat(20000)}` }),
    broken: ["config"],
  },
  { name: "aliases that multiply", given: state({ config: `${bomb()}\n${CONFIG}` }), broken: ["config"] },
];
for (const row of table) test(row.name, () => assert.deepEqual(broken(row.given), row.broken));

test("what differs is said without the secret: a short fingerprint, or the length of what can be guessed", () => {
  const found = (given: AppserviceState) =>
    crossCheckAppservice(given).find(({ name }) => name === "as_token")?.found ?? "";
  assert.match(
    found(state({ config: config(AS, OTHER) })),
    /^differs \(the registration: SHA-256 [0-9a-f]{8}…; config\.yaml: SHA-256 [0-9a-f]{8}…; the homeserver: SHA-256 [0-9a-f]{8}…\)$/,
  );
  assert.match(found(state({ config: config(AS, "SECRET-short") })), /config\.yaml: 12 characters/);
});

test("any bytes in any place give findings", () => {
  const cut = (text: string) => fc.nat(text.length).map((at) => Buffer.from(text.slice(0, at)));
  const anything = (text: string) =>
    fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.string().map(bytes), cut(text), fc.constant(bytes(text)));
  fc.assert(
    fc.property(anything(REGISTRATION), anything(CONFIG), anything(REGISTRATION), (one, two, three) => {
      const findings = crossCheckAppservice({
        registration: one,
        config: two,
        homeserver: [{ id: "slack", yaml: three }],
      });
      assert.ok(findings.length > 0);
      assert.doesNotMatch(JSON.stringify(findings), /SECRET/);
    }),
    { numRuns: 500 },
  );
});

test("expressions of namespaces are compared, never run", () => {
  const rows: readonly [string, string, boolean | undefined][] = [
    ["^@slack_.*:example\\.org$", "@slack_t-u:example.org", true],
    ["@slack_.*:example.org", "@slack_t-u:example.org", true],
    ["^@slack_.*:example\\.org$", "@slack:example.org", false],
    ["^@slack_.+_.*:example\\.org$", "@slack_a_b:example.org", true],
    ["^@slackbot:example\\.org$", "@slackbot:example.org", true],
    ["^@slackbot:example\\.org$", "@slackbot2:example.org", false],
    ["@(a|b).*:example.org", "@a:example.org", undefined],
    ["(x+x+)+y", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", undefined],
  ];
  for (const [regex, user, expected] of rows) assert.equal(admits(regex, user), expected, regex);
  assert.equal(isOfDomain("@slack_.*", "example.org"), true);
  assert.equal(isOfDomain("^@slack_.*:notexample\\.org$", "example.org"), false);
});

test("the homeserver's copy comes out of a database that the real library wrote", async () => {
  const scratch = mkdtempSync(join(tmpdir(), "drops-appservice-"));
  const directory = join(scratch, "db");
  try {
    const families = ["default", "global", "id_appserviceregistrations", "userid_password"];
    const write = async (yaml: string) => {
      const db = await openFamilies(directory, families, { create: true });
      const batch = db.batch();
      const column = db.columns["id_appserviceregistrations"];
      batch._put(Buffer.from("slack"), Buffer.from(yaml), { column });
      batch._writeSync({});
      batch._closeSync();
      await db.close();
    };
    const failing = async (database = directory) => {
      const homeserver = localDatabase(database);
      const findings = await checkAppservice({ ...state(), homeserver }, { signal });
      assert.doesNotMatch(JSON.stringify(findings), /SECRET/);
      return findings.filter(({ ok }) => !ok).map(({ name, found }) => `${name}: ${found}`);
    };
    await write(REGISTRATION);
    assert.deepEqual(await failing(), []);
    await write(registration(HS, OTHER));
    assert.match((await failing()).join("\n"), /^hs_token: differs \([^\n]*$/);
    assert.deepEqual(await failing(scratch), [
      "homeserver's copy: could not be read: there is no CURRENT file: this is not a database",
    ]);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
});

function bomb(): string {
  const levels = Array.from({ length: 9 }, (_, level) => {
    const below = level === 0 ? "x" : `*a${level - 1}`;
    return `k${level}: &a${level} [${Array.from({ length: 9 }, () => below).join(", ")}]`;
  });
  return levels.join("\n");
}
