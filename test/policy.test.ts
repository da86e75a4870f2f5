import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { Ajv } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import { parse } from "yaml";
import { generatedSchemas } from "../scripts/lib/schemas.ts";
import { DropsError, isFailure } from "../src/lib/errors.ts";
import { findPolicy } from "../src/policy/find.ts";
import { loadPolicy, parsePolicy } from "../src/policy/load.ts";

const root = new URL("../", import.meta.url);
const scratch = mkdtempSync(join(tmpdir(), "drops-policy-"));
after(() => rmSync(scratch, { recursive: true }));

const GOOD = `name: ops
zone: Europe/Berlin
host: local
store: { directory: /srv/backups }
keys:
  recovery_recipients: [age1abc]
  metadata_identity_file: /k/m
  signing_key_file: /k/s
sources:
  - name: etc
    kind: files
    paths: [/etc]
`;

test("a small policy is filled with the defaults", () => {
  const { policy, origin, text, sha256 } = parsePolicy(GOOD, "ops.yaml");
  assert.deepEqual(
    { origin, text, sha256 },
    {
      origin: "ops.yaml",
      text: GOOD,
      sha256: "bcc8a7ae989d1b0dbee6f41b52621b0d377d8e2a1f1634ab229b356ee5481f68",
    },
  );
  assert.deepEqual(policy.keep, {
    rules: "sequential",
    last: 0,
    daily: 7,
    weekly: 4,
    monthly: 12,
    yearly: 0,
  });
  assert.deepEqual([policy.rpo, policy.rto, policy.reread_percent], ["24h", "2h", 2]);
});

/** `from` in the good policy becomes `to`; `says` is every problem line without the origin. */
const malformed: readonly { name: string; from?: string; to: string; says: readonly string[] }[] = [
  { name: "nothing", from: GOOD, to: "", says: ["1:1 empty, expected an object"] },
  { name: "a list", from: GOOD, to: "- 1\n", says: ["1:1 expected an object"] },
  {
    name: "a key twice",
    to: "zone: UTC\nname: ops",
    from: "name: ops",
    says: ["3:1 Map keys must be unique"],
  },
  {
    name: "YAML that does not close",
    from: "[/etc]",
    to: "[/etc",
    says: ["13:1 Flow sequence in block collection must be sufficiently indented and end with a ]"],
  },
  {
    name: "a tab",
    from: "  recovery",
    to: "\trecovery",
    says: [
      "6:1 Tabs are not allowed as indentation",
      "7:1 All mapping items must start at the same column",
      "8:1 All mapping items must start at the same column",
    ],
  },
  {
    name: "two documents",
    from: GOOD,
    to: `${GOOD}---\n${GOOD}`,
    says: ["13:1 Source contains multiple documents; please use YAML.parseAllDocuments()"],
  },
  {
    name: "a tag",
    from: "name: ops",
    to: "name: !!js/function ops",
    says: ["1:7 Unresolved tag: tag:yaml.org,2002:js/function"],
  },
  {
    name: "aliases that explode",
    from: "name: ops",
    to: "a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nname: ops",
    says: ["1:1 Excessive alias count indicates a resource exhaustion attack"],
  },
  {
    name: "a misspelt field",
    from: "zone:",
    to: "zona:",
    says: ["1:1 zone: missing, expected a string", "2:1 unknown field zona"],
  },
  {
    name: "no such zone",
    from: "Europe/Berlin",
    to: "Europe/Bärlin",
    says: ["2:7 zone: an IANA time zone such as Europe/Berlin"],
  },
  { name: "a zone that is a number", from: "Europe/Berlin", to: "1", says: ["2:7 zone: expected a string"] },
  {
    name: "no host",
    from: "host: local\n",
    to: "",
    says: ["1:1 host: missing, expected local or an object"],
  },
  {
    name: "an empty host",
    from: "host: local",
    to: "host:",
    says: ["3:6 host: empty, expected local or an object"],
  },
  {
    name: "a host in a word",
    from: "host: local",
    to: "host: example.org",
    says: ["3:7 host: expected local or an object"],
  },
  {
    name: "ssh with two mistakes",
    from: "host: local",
    to: "host: { ssh: { adress: a, port: 99999 } }",
    says: [
      "3:9 host.ssh.address: missing, expected a string",
      "3:16 host.ssh: unknown field adress",
      "3:33 host.ssh.port: expected at most 65535",
    ],
  },
  {
    name: "a relative directory",
    from: "/srv/backups",
    to: "backups",
    says: ["4:21 store.directory: expected an absolute path"],
  },
  {
    name: "a directory with ..",
    from: "/srv/backups",
    to: "/srv/../etc",
    says: ["4:21 store.directory: no .. in it"],
  },
  {
    name: "a store of no kind",
    from: "{ directory: /srv/backups }",
    to: "{}",
    says: ["4:1 store: expected an object with s3 or an object with directory"],
  },
  {
    name: "an S3 store",
    from: "{ directory: /srv/backups }",
    to: "{ s3: { bucket: Big, endpoint: ftp://x } }",
    says: [
      "4:24 store.s3.bucket: expected an S3 bucket name",
      "4:39 store.s3.endpoint: expected an http or https address",
    ],
  },
  {
    name: "an S3 store with a login in its address",
    from: "{ directory: /srv/backups }",
    to: "{ s3: { bucket: big, endpoint: 'https://me:topsecret@example.org' } }",
    says: ["4:39 store.s3.endpoint: an address holds no login: use credentials_file"],
  },
  {
    name: "recipients twice",
    from: "[age1abc]",
    to: "[age1abc]\n  recovery_recipients_file: /k/r",
    says: ["6:3 keys.recovery_recipients: exactly one of recovery_recipients and recovery_recipients_file"],
  },
  {
    name: "no recipients",
    from: "  recovery_recipients: [age1abc]\n",
    to: "",
    says: ["5:1 keys.recovery_recipients: exactly one of recovery_recipients and recovery_recipients_file"],
  },
  {
    name: "a signer that is believed and revoked",
    from: "  signing_key_file: /k/s\n",
    to: `  signing_key_file: /k/s
  trusted_signers: [ssh-ed25519 AAAA a]
  revoked_signers: [{ key: ssh-ed25519 AAAA b, before: 2026-11-20T00:00:00Z }]
`,
    says: ["10:3 keys.revoked_signers: also among trusted_signers: take it out there"],
  },
  {
    name: "a revoked signer without a time",
    from: "  signing_key_file: /k/s\n",
    to: "  signing_key_file: /k/s\n  revoked_signers: [{ key: ssh-ed25519 AAAA, before: 2026-11-20 }]\n",
    says: ["9:54 keys.revoked_signers[0].before: expected a time such as 2026-11-20T00:00:00Z"],
  },
  {
    name: "a secret where the public key belongs",
    from: "age1abc",
    to: "AGE-SECRET-KEY-1GQ9",
    says: ["6:25 keys.recovery_recipients[0]: expected an age recipient (age1…)"],
  },
  {
    name: "no sources",
    from: /sources:.*/s.exec(GOOD)?.[0] ?? "",
    to: "sources: []\n",
    says: ["9:1 sources: expected at least 1 of them"],
  },
  {
    name: "a source of an unknown kind",
    from: "kind: files",
    to: "kind: mysql",
    says: ["11:11 sources[0].kind: expected one of rocksdb, postgres, files, command"],
  },
  {
    name: "a source without paths",
    from: "[/etc]",
    to: "[]",
    says: ["12:5 sources[0].paths: expected at least 1 of them"],
  },
  {
    name: "two sources of one name",
    from: "[/etc]",
    to: "[/etc]\n  - { name: etc, kind: files, paths: [/var] }",
    says: ["9:1 sources: source names must differ"],
  },
  {
    name: "stopped without its unit",
    from: "kind: files\n    paths: [/etc]",
    to: "kind: rocksdb\n    path: /db\n    mode: stopped",
    says: ["10:5 sources[0].unit: mode stopped needs the unit"],
  },
  {
    name: "a restore section that names what is not there",
    from: "    paths: [/etc]\n",
    to: `    paths: [/etc]
restore:
  bootstrap: [keys]
  units: [{ unit: a.service }, { unit: a.service }]
  appservice: { registration: /var/r.yaml, config: /etc/c.yaml, homeserver: etc }
  checks: [{ name: a, source: etc, sql: SELECT true }, { name: b, source: etc }]
`,
    says: [
      "14:15 restore.bootstrap[0]: there is no source keys",
      "15:3 restore.units: units must differ",
      "16:31 restore.appservice.registration: no files source holds this path, so it would not come back",
      "16:77 restore.appservice.homeserver: source etc is of kind files, not rocksdb",
      "17:31 restore.checks[0].source: source etc is of kind files, not postgres",
      "17:56 restore.checks[1]: exactly one of sql and command",
    ],
  },
  {
    name: "a mode that is none",
    from: "kind: files\n    paths: [/etc]",
    to: "kind: rocksdb\n    path: /db\n    mode: cold",
    says: ["13:11 sources[0].mode: expected hot or stopped"],
  },
  {
    name: "a keep rule of nothing",
    from: "host:",
    to: "keep: { daily: 0, weekly: 0, monthly: 0 }\nhost:",
    says: ["3:16 keep.daily: keeps nothing"],
  },
  {
    name: "a keep rule of a half",
    from: "host:",
    to: "keep: { daily: 1.5 }\nhost:",
    says: ["3:16 keep.daily: expected a whole number"],
  },
  { name: "an rpo without unit", from: "host:", to: "rpo: 24\nhost:", says: ["3:6 rpo: expected a string"] },
];
for (const row of malformed) {
  test(`a policy with ${row.name} is refused with every problem named`, () => {
    const from = row.from ?? GOOD;
    assert.ok(GOOD.includes(from), "the row changes something");
    const error = failure(() => parsePolicy(GOOD.replace(from, row.to), "ops.yaml"));
    const count = row.says.length === 1 ? "1 problem" : `${row.says.length} problems`;
    const expected = [
      `ops.yaml is not a valid policy, ${count}`,
      ...row.says.map((line) => `  ops.yaml:${line}`),
    ];
    assert.deepEqual(error.message.split("\n"), expected);
    assert.equal(error.code, "policy/invalid");
    assert.match(error.hint ?? "", /drops policy schema/);
    assert.doesNotMatch(error.message, /GQ9/);
  });
}

test("a file that is missing, binary or huge is refused", async () => {
  await assert.rejects(loadPolicy(join(scratch, "none.yaml")), {
    code: "usage/invalid",
    message: `cannot read the policy ${scratch}/none.yaml: no such file`,
  });
  await assert.rejects(loadPolicy(scratch), { code: "usage/invalid", message: /it is a directory/ });
  writeFileSync(join(scratch, "binary.yaml"), Buffer.from([0x6e, 0xff, 0xfe]));
  await assert.rejects(loadPolicy(join(scratch, "binary.yaml")), {
    code: "policy/invalid",
    message: /not UTF-8/,
  });
  writeFileSync(join(scratch, "huge.yaml"), Buffer.alloc(1024 * 1024 + 1, "#"));
  await assert.rejects(loadPolicy(join(scratch, "huge.yaml")), {
    code: "policy/invalid",
    message: /larger than 1 MiB/,
  });
  assert.throws(() => parsePolicy("#".repeat(1024 * 1024 + 1), "x"), { code: "policy/invalid" });
});

test("what would take the YAML library minutes is refused at once", () => {
  const keys = Array.from({ length: 80_000 }, (_, at) => `k${at}: 1\n`).join("");
  for (const text of [keys, "[".repeat(60_000), '" "'.repeat(60_000)]) {
    assert.throws(
      () => parsePolicy(text, "x"),
      (error) => isFailure(error, "policy/invalid") && /more than 20000 names/.test(error.message),
    );
  }
});

test("a policy is found by file, by name, by environment, or because it is the only one", async () => {
  const one = mkdtempSync(join(scratch, "one-"));
  const two = mkdtempSync(join(scratch, "two-"));
  for (const file of [join(one, "ops.yaml"), join(two, "a.yaml"), join(two, "b.yaml")])
    writeFileSync(file, GOOD);
  writeFileSync(join(one, "notes.txt"), "");
  const find = (wanted: string | undefined, fromEnv: string | undefined, ...dirs: string[]) =>
    findPolicy(wanted, { fromEnv, dirs });
  assert.equal(await find("./x.yaml", undefined, one), "./x.yaml");
  assert.equal(await find("b", undefined, one, two), join(two, "b.yaml"));
  assert.equal(await find(undefined, "a", two), join(two, "a.yaml"));
  assert.equal(await find("b", "a", two), join(two, "b.yaml"));
  assert.equal(await find(undefined, undefined, one), join(one, "ops.yaml"));
  assert.equal(await find(undefined, "", join(scratch, "absent"), one), join(one, "ops.yaml"));
  await assert.rejects(find(undefined, undefined, two), {
    code: "usage/invalid",
    hint: "--policy a  or  --policy b",
  });
  await assert.rejects(find("c", undefined, two), { message: `no policy named c in ${two}` });
  await assert.rejects(find(undefined, undefined, join(scratch, "absent")), {
    code: "usage/invalid",
    hint: "drops init makes one; or --policy FILE, or set DROPS_POLICY",
  });
});

for (const [path, text] of generatedSchemas()) {
  test(`${path} is what the code says (sh scripts/node scripts/generate-schemas.ts)`, () => {
    assert.equal(readFileSync(new URL(path, root), "utf8"), text);
    const schema: unknown = JSON.parse(text);
    const ajv = path.startsWith("policies/") ? new Ajv({ strict: false }) : new Ajv2020({ strict: false });
    assert.ok(ajv.validateSchema(schema as object), JSON.stringify(ajv.errors));
  });
}

for (const name of ["demo", "ops-jrz1"]) {
  test(`policies/${name}.yaml is valid, for drops and for editors`, async () => {
    const { policy, text } = await loadPolicy(new URL(`policies/${name}.yaml`, root).pathname);
    assert.equal(policy.name, name);
    assert.match(text, /^# yaml-language-server: \$schema=\.\/policy\.schema\.json\n/);
    const schema: unknown = JSON.parse(readFileSync(new URL("policies/policy.schema.json", root), "utf8"));
    const validate = new Ajv({ strict: false, formats: { uri: true } }).compile(schema as object);
    assert.ok(validate(parse(text)), JSON.stringify(validate.errors));
    assert.equal(validate({ ...parse(text), sources: [] }), false);
  });
}

test("ops-jrz1 covers what its restore needs, databases before files", async () => {
  const { policy } = await loadPolicy(new URL("policies/ops-jrz1.yaml", root).pathname);
  const kinds = policy.sources.map(({ kind }) => kind);
  assert.deepEqual(
    kinds,
    [...kinds].sort((a, b) => ORDER.indexOf(a) - ORDER.indexOf(b)),
  );
  const paths = policy.sources.flatMap((source) => (source.kind === "files" ? source.paths : []));
  for (const path of MUST_COVER) assert.ok(paths.includes(path), `${path} is not covered`);
});

const ORDER = ["postgres", "rocksdb", "files", "command"];
const MUST_COVER = [
  "/var/lib/matrix-continuwuity/db/media",
  "/var/lib/matrix-appservices",
  "/var/lib/mautrix-slack",
  "/etc/ssh/ssh_host_ed25519_key",
  "/var/lib/forgejo",
  "/var/lib/acme",
];

function failure(work: () => unknown): DropsError {
  try {
    work();
  } catch (error) {
    if (error instanceof DropsError) return error;
    throw error;
  }
  throw new assert.AssertionError({ message: "nothing was thrown" });
}
