import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { OUTPUTS } from "../src/cli/outputs.ts";
import { ROLES, type RoleOptions, rolePolicy } from "../src/store/roles.ts";
import { drops } from "./support/in-process.ts";
import { scratchDirectory } from "./support/scratch.ts";

const scratch = await scratchDirectory();
after(() => scratch[Symbol.asyncDispose]());
const BASE = { bucket: "backups", prefix: "a/drops", policy: "ops", conditions: true } as const;
const statementsOf = (options: RoleOptions) => rolePolicy(options).document.Statement;

test("what a role is allowed is written out: no wildcard in an action, none before the end of a name", () => {
  for (const role of ROLES) {
    for (const statement of statementsOf({ role, ...BASE })) {
      for (const action of statement.Action) assert.match(action, /^s3:[A-Za-z]+$/, statement.Sid);
      if (statement.Effect === "Deny") continue;
      for (const resource of statement.Resource) {
        assert.match(
          resource,
          /^arn:aws:s3:::backups(\/a\/drops\/(ops|recovery)\/([a-z]+\/)?\*|\/a\/drops\/repository\.json(\.sig)?)?$/,
        );
      }
    }
  }
});

test("every statement has a name of its own in the whole bucket, and is explained", () => {
  const told = ROLES.flatMap((role) => {
    const { document, told } = rolePolicy({ role, ...BASE });
    assert.deepEqual(
      told.map(({ sid }) => sid),
      document.Statement.map(({ Sid }) => Sid),
    );
    return told;
  });
  assert.equal(new Set(told.map(({ sid }) => sid)).size, told.length);
  for (const { sid, why } of told) {
    assert.match(sid, /^[A-Za-z0-9]+$/, "AWS allows nothing else");
    assert.ok(why.length > 10, sid);
  }
});

test("where the server knows the condition, every put must be create-only; elsewhere none is asked for", () => {
  for (const role of ROLES) {
    const puts = (conditions: boolean) =>
      statementsOf({ role, ...BASE, conditions }).filter(
        ({ Effect, Action }) => Effect === "Allow" && Action.includes("s3:PutObject"),
      );
    assert.equal(puts(true).length, role === "keeper" ? 0 : 1);
    for (const { Condition } of puts(true)) {
      assert.deepEqual(Condition, { Null: { "s3:if-none-match": "false" } });
    }
    for (const { Condition } of puts(false)) assert.equal(Condition, undefined);
  }
});

test("the keeper's reach is capped where the server knows the condition", () => {
  const keeper = (more: object) => JSON.stringify(statementsOf({ role: "keeper", ...BASE, ...more }));
  const cap = '"NumericLessThanEquals":{"s3:object-lock-remaining-retention-days":"400"}';
  assert.ok(keeper({ maxDays: 400 }).includes(cap));
  assert.ok(!keeper({ maxDays: 400, conditions: false }).includes("NumericLessThanEquals"));
  assert.ok(!keeper({}).includes("NumericLessThanEquals"));
});

test("the writer may lock what it puts only where the policy locks, and is capped like the keeper", () => {
  const writer = (more: object) => statementsOf({ role: "writer", ...BASE, ...more });
  assert.equal(JSON.stringify(writer({})).includes("PutObjectRetention"), false);
  const locks = writer({ locks: true, maxDays: 30 }).find(({ Sid }) => Sid === "WriterLocks");
  assert.deepEqual(locks?.Action, ["s3:GetObjectRetention", "s3:PutObjectRetention"]);
  assert.deepEqual(
    locks?.Resource,
    ["lists", "manifests", "packs", "snapshots"].map((kind) => `arn:aws:s3:::backups/a/drops/ops/${kind}/*`),
    "what a backup puts, and nothing else",
  );
  assert.match(JSON.stringify(locks?.Condition), /object-lock-remaining-retention-days":"30"/);
});

test("each document fits into what IAM takes, and all of them into what S3 takes of one bucket", () => {
  let all = 0;
  for (const role of ROLES) {
    const principal = `arn:aws:iam::123456789012:user/${"x".repeat(64)}`;
    const long = { ...BASE, bucket: "b".repeat(63), policy: "p".repeat(40) };
    const user = JSON.stringify(rolePolicy({ role, ...long }).document).length;
    assert.ok(user <= 6144, `${role}: ${user} bytes as a managed policy`);
    all += JSON.stringify(rolePolicy({ role, ...long, principal }).document).length;
  }
  assert.ok(all <= 20 * 1024, `${all} bytes of the bucket's 20 KiB`);
});

const file = join(scratch.path, "policy.yaml");
async function iam(args: readonly string[], store = "{ s3: { bucket: backups, prefix: a/drops } }") {
  const text = `name: ops
zone: Europe/Berlin
host: local
store: ${store}
keys: { recovery_recipients_file: /unused, metadata_identity_file: /unused, signing_key_file: /unused }
sources:
  - { name: words, kind: command, argv: [echo, hello] }
`;
  await writeFile(file, text);
  return drops(["iam", ...args, "--policy", file]);
}

test("standard output is the document and nothing else; what it is for stands on standard error", async () => {
  const { exit, stdout, stderr } = await iam(["writer"]);
  assert.equal(exit, 0, stderr);
  assert.deepEqual(JSON.parse(stdout), rolePolicy({ role: "writer", ...BASE }).document);
  assert.match(
    stderr,
    /WriterReads: a backup compares with the last one, status with the last drill; it cannot read packs/,
  );
});

test("--json tells for whom it is, and keeps to its schema", async () => {
  const principal = "arn:aws:iam:::user/backup";
  const { stdout, stderr } = await iam(["janitor", "--principal", principal, "--json"]);
  const report = OUTPUTS.iam.strict().parse(JSON.parse(stdout));
  assert.equal(stderr.includes("{"), false);
  assert.deepEqual([report.form, report.role, report.principal], ["bucket-policy", "janitor", principal]);
  const statements = report.document["Statement"] as { Principal: unknown }[];
  for (const { Principal } of statements) assert.deepEqual(Principal, { AWS: [principal] });
  const lifecycle = await iam(["lifecycle", "--days", "14", "--json"]);
  const rule = OUTPUTS.iam.strict().parse(JSON.parse(lifecycle.stdout));
  assert.equal(rule.form, "lifecycle");
  assert.match(JSON.stringify(rule.document), /"Prefix":"a\/drops\/".*"NoncurrentDays":14/);
});

test("create-only is asked for at Amazon, elsewhere when it is said", async () => {
  const at = (endpoint: string) => `{ s3: { bucket: backups, endpoint: "${endpoint}" } }`;
  const isAsked = async (args: readonly string[], store?: string) => {
    const { stdout } = await iam(["writer", "--json", ...args], store);
    return OUTPUTS.iam.parse(JSON.parse(stdout)).createOnly;
  };
  assert.equal(await isAsked([]), true);
  assert.equal(await isAsked([], at("https://s3.eu-central-1.amazonaws.com")), true);
  assert.equal(await isAsked([], at("https://amazonaws.com.example.org")), false);
  assert.equal(await isAsked([], at("https://s3.example.org")), false);
  assert.equal(await isAsked(["--conditions", "aws"], at("https://s3.example.org")), true);
  assert.equal(await isAsked(["--conditions", "none"]), false);
});

test("a bucket's policy for a server that names users by their access keys alone", async () => {
  const { exit, stdout } = await iam(["writer", "--principal", "drops-writer"]);
  assert.equal(exit, 0);
  const { Statement } = JSON.parse(stdout) as { Statement: { Principal: unknown }[] };
  for (const { Principal } of Statement) assert.deepEqual(Principal, { AWS: ["drops-writer"] });
});

const refusals: readonly {
  readonly args: readonly string[];
  readonly says: RegExp;
  readonly store?: string;
}[] = [
  { args: ["owner"], says: /Allowed choices are writer, janitor, keeper, restorer, lifecycle/ },
  { args: [], says: /missing required argument/ },
  { args: ["writer"], store: "{ directory: /backups }", says: /is a directory, which has no roles/ },
  { args: ["writer", "--principal", "*"], says: /not the ARN of a user/ },
  { args: ["writer", "--principal", "arn:aws:iam::123456789012:user/*"], says: /not the ARN of a user/ },
  { args: ["writer", "--principal", "a b"], says: /not the ARN of a user/ },
  { args: ["lifecycle", "--principal", "arn:aws:iam:::user/x"], says: /is for no user/ },
  { args: ["writer", "--max-days", "9"], says: /only for who locks/ },
  { args: ["keeper", "--max-days", "9", "--conditions", "none"], says: /on a server with AWS's conditions/ },
  { args: ["lifecycle", "--days", "0"], says: /a number of days, from 1/ },
];
for (const { args, says, store } of refusals) {
  test(`drops iam ${args.join(" ")} is refused${store === undefined ? "" : " for a directory"}`, async () => {
    const { exit, stdout, stderr } = await iam(args, store);
    assert.deepEqual([exit, stdout], [2, ""]);
    assert.match(stderr, says);
  });
}
