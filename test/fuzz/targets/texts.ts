import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { HostTree } from "../../../src/guided/paths/listing.ts";
import { unitStates } from "../../../src/guided/services/units.ts";
import { hostFacts } from "../../../src/host/host-facts.ts";
import { parseDateWords } from "../../../src/policy/dates.ts";
import { parsePolicy } from "../../../src/policy/load.ts";
import { spaceFacts, spaceInFacts } from "../../../src/snapshot/space-facts.ts";
import { readBridgeConfig, readRegistration } from "../../../src/source/appservice/documents.ts";
import { admits, isOfDomain } from "../../../src/source/appservice/namespaces.ts";
import { registrationProblem } from "../../../src/source/appservice/registration.ts";
import { hostTime, ownerNames, requireGnuTools } from "../../../src/source/files/gnu-tools.ts";
import { hostSpace } from "../../../src/source/host-space.ts";
import { hostDatabase } from "../../../src/source/rocksdb/verify/database-files.ts";
import { Scope } from "../../../src/source/scope.ts";
import { parseStoreUrl, storeUrl } from "../../../src/store/store-url.ts";
import { answeringHost } from "../../support/answering-host.ts";
import { filesAt } from "../../support/path-cases.ts";
import type { FuzzTarget } from "../fuzz-target.ts";
import { corpus, NEVER } from "../inputs.ts";

const HOW = { signal: NEVER };
const REGISTRATION = `id: bridge
url: http://localhost:29318
as_token: aaaa
hs_token: bbbb
sender_localpart: bot
rate_limited: false
namespaces:
  users:
    - {regex: '^@bridge_.*:example\\.org$', exclusive: true}
  aliases: []
`;
const CONFIG = `homeserver: {domain: example.org, address: "http://localhost"}
appservice:
  id: bridge
  as_token: "aaaa"
  hs_token: bbbb
  username_template: bridge_{{.}}
  bot: {username: bot}
encryption: {allow: true, pickle_key: k}
`;
const YAML_WORDS = [
  "&a [*a,*a]",
  "&a ",
  "*a ",
  "<<: *a\n",
  "!!binary ",
  "!!js/x ",
  "? ",
  "- ",
  "{",
  "[",
  "key: v\n",
  "%YAML 1.1\n",
].concat(["---\n", "...\n", '"\\u0000"', "a: &a {b: c}\n", "# c\n", "|\n", ">-\n"]);

const POLICY: FuzzTarget = {
  name: "policy",
  mayThrow: ["policy/invalid"],
  seeds: () =>
    ["demo", "ops-jrz1"].map((name) =>
      readFileSync(new URL(`../../../policies/${name}.yaml`, import.meta.url)),
    ),
  words: YAML_WORDS,
  run(bytes) {
    const { policy, text } = parsePolicy(bytes.toString(), "a policy");
    assert.deepEqual(parsePolicy(text, "a policy").policy, policy);
    return JSON.stringify(policy).length;
  },
};

const APPSERVICE: FuzzTarget = {
  name: "registration",
  mayThrow: [],
  seeds: () => [REGISTRATION, CONFIG].map((text) => Buffer.from(text)),
  words: [...YAML_WORDS, "as_token: t\n", "namespaces: {users: [{regex: x, exclusive: true}]}\n"],
  run(bytes) {
    const problems = [readRegistration(bytes), readBridgeConfig(bytes)].map((read) =>
      "problem" in read ? read.problem : "",
    );
    const small = bytes.subarray(0, 64 * 1024);
    problems.push(registrationProblem(Buffer.from("registrations/x.yaml"), small) ?? "");
    problems.push(registrationProblem(Buffer.from("etc/x.yaml"), small) ?? "");
    return problems.join("").length;
  },
};

const NAMESPACE: FuzzTarget = {
  name: "namespace",
  mayThrow: [],
  seeds: () => [Buffer.from("^@bridge_.*:example\\.org$"), Buffer.from("@a.*b.*c:example.org")],
  words: [".*", ".+", "\\.", "(a+)+", ":example.org"],
  run(bytes) {
    const regex = bytes.toString();
    isOfDomain(regex, "example.org");
    admits(regex, `@bridge_${"ab".repeat(100)}:example.org`);
    return 0;
  },
};

const DATES: FuzzTarget = {
  name: "dates",
  mayThrow: ["usage/invalid"],
  seeds: () =>
    [
      "2026-11-20",
      "2026-11-20T14:30:05.5+01:00",
      "3 days ago",
      "99999 weeks ago",
      "yesterday",
      "20261123T023001Z-0123456789abcdef",
    ].map((text) => Buffer.from(text)),
  words: ["latest", "hours ago", "Z", "T", "9999-12-31", "1970-01-01", "+14:00", "2026-03-29T02:30"],
  run(bytes) {
    const zones = ["UTC", "Europe/Berlin", "Pacific/Apia", "America/Caracas", "Asia/Kathmandu"];
    const zone = zones[(bytes[0] ?? 0) % zones.length] as string;
    const wanted = parseDateWords(bytes.toString(), { zone, now: new Date("2026-11-23T02:30:00Z") });
    if (wanted.kind === "day")
      assert.ok(wanted.from < wanted.to && wanted.to.getTime() - wanted.from.getTime() < 2 * 86_400_000);
    if (wanted.kind === "time") assert.ok(!Number.isNaN(wanted.at.getTime()));
    return 64;
  },
};

const STORE_URL: FuzzTarget = {
  name: "store-url",
  mayThrow: ["usage/invalid"],
  seeds: () =>
    [
      "s3://bucket/a/b?endpoint=https://h:9000&region=r&path_style=false&ca_file=/a",
      "file:///a%20b",
      "/srv/x",
    ].map((text) => Buffer.from(text)),
  words: ["?", "&", "%", "s3://", "file://", "region=", "endpoint=http://"],
  run(bytes) {
    const store = parseStoreUrl(bytes.toString());
    assert.deepEqual(parseStoreUrl(storeUrl(store)), store);
    return JSON.stringify(store).length;
  },
};

const UNITS_SHOWN = ["a.service", "b.socket"]
  .map((id) =>
    [
      ...[
        `Id=${id}`,
        "LoadState=loaded",
        "ActiveState=active",
        "SubState=running",
        "Result=success",
        "ExecMainCode=1",
      ],
      ...[
        "ExecMainStatus=3",
        "NRestarts=2",
        "InvocationID=abc",
        "ActiveEnterTimestamp=Mon 2026-11-23 02:30:00 UTC",
      ],
      ...["ConditionResult=yes", "ConditionTimestamp=", "Type=oneshot", "TriggeredBy=b.socket c.timer"],
    ].join("\n"),
  )
  .join("\n\n");

const SYSTEMCTL: FuzzTarget = {
  name: "systemctl",
  mayThrow: ["host/command-failed"],
  seeds: () => [Buffer.from(UNITS_SHOWN)],
  words: ["\n\n", "Id=", "=", "ActiveEnterTimestamp=n/a\n", "NRestarts=-1\n"],
  async run(bytes) {
    const states = await unitStates(answeringHost(bytes), ["a.service", "b.socket"], HOW);
    for (const { restarts, activeSince, exit } of states) {
      assert.ok(Number.isSafeInteger(restarts), "restarts are counted");
      assert.ok(activeSince === undefined || !Number.isNaN(activeSince.getTime()), "a time is one");
      assert.ok(exit === undefined || Number.isSafeInteger(exit), "an exit status is a number");
    }
    return JSON.stringify(states).length;
  },
};

/** What commands on the host answer, each parsed from the same bytes. */
const HOST: FuzzTarget = {
  name: "host-answers",
  mayThrow: ["host/command-failed", "source/failed"],
  seeds: () =>
    [
      "hostname=h\nkernel=Linux 6.1\nos=Debian\nprogram a.service=/bin/a\n",
      "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home:/bin/sh\n",
      "1796033224.393799767\n",
      "find (GNU findutils) 4.9.0\ntar (GNU tar) 1.34\n",
      "/dev/vda1 20000000 18100001 1899999 91% /\n",
      "123 000009.sst\x0016 CURRENT\x00",
    ].map((text) => Buffer.from(text)),
  words: ["__proto__=x\n", ":", "=", "\0"],
  async run(bytes) {
    const host = answeringHost(bytes);
    const facts = await hostFacts(host, [], HOW);
    for (const value of Object.values(facts)) assert.ok(value.length <= 1024, "a fact fits into the record");
    const spaces = await hostSpace(host, [filesAt("tmp", ["/tmp"])], HOW);
    assert.deepEqual(spaceInFacts(spaceFacts(spaces)), spaces, "a record keeps what df tells");
    const names = await ownerNames(host, "passwd", new Set([0, 1000]), HOW);
    assert.ok(names.size < 70_000);
    const answers = [hostTime(host, HOW), requireGnuTools(host, HOW), hostDatabase(host, "/db").list(HOW)];
    for (const answer of await Promise.allSettled(answers)) {
      if (answer.status === "rejected" && answer.reason?.name !== "DropsError") throw answer.reason;
      if (answer.status === "fulfilled" && answer.value instanceof Map)
        for (const size of answer.value.values())
          assert.ok(Number.isSafeInteger(size) && size >= 0, "a size is one");
    }
    return Object.values(facts).join("").length + 32 * names.size;
  },
};

const TREE: FuzzTarget = {
  name: "host-tree",
  mayThrow: ["host/command-failed", "source/failed"],
  seeds: () => [corpus("find")],
  async run(bytes) {
    const tree = await HostTree.list(answeringHost(bytes), "/tmp", HOW);
    const policy = filesAt("tmp", ["/tmp"], { exclude: ["*a*b?c*"] });
    const scope = new Scope([{ at: "", captured: "tmp", policy }]);
    return [...tree.strangers(scope)].join("").length + tree.filesIn("").size;
  },
};

export const TEXT_TARGETS: readonly FuzzTarget[] = [
  ...[POLICY, APPSERVICE, NAMESPACE, DATES, STORE_URL, SYSTEMCTL, HOST, TREE],
];
