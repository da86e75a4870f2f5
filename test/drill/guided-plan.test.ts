import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { checkGuidedPlan } from "../../src/drill/check-guided.ts";
import { CheckBook } from "../../src/drill/checks.ts";
import { readPartsOf, TinyRepository, type TinySource } from "../support/tiny-repository.ts";

const HOW = { signal: new AbortController().signal };

const dir = (path: string) => ({ path, type: "dir" as const });
/** Files behind a symlink, as a capture has them. */
const BEHIND = [
  { path: "var/lib/hs", type: "symlink" as const, target: "private/hs" },
  dir("var/lib/private/hs"),
  { path: "var/lib/private/hs/state", type: "file" as const },
];
const DATABASE: TinySource = { name: "db", kind: "rocksdb", entries: [{ path: "CURRENT" }] };

interface Row {
  readonly name: string;
  /** Of the policy in the snapshot. */
  readonly policy: readonly string[];
  readonly sources: readonly TinySource[];
  readonly found: RegExp;
  readonly outcome?: "failed" | "could-not-run";
}

const rows: readonly Row[] = [
  {
    name: "a database in files",
    policy: ["{ name: db, kind: rocksdb, path: /srv/a/db }", "{ name: a, kind: files, paths: [/srv/a] }"],
    sources: [DATABASE, { name: "a", entries: [dir("srv/a"), { path: "srv/a/f" }] }],
    found: /^a; 4 entries$/,
  },
  {
    name: "a database behind a symlink",
    policy: [
      "{ name: db, kind: rocksdb, path: /var/lib/private/hs/db }",
      "{ name: hs, kind: files, paths: [/var/lib/hs] }",
    ],
    sources: [
      DATABASE,
      { name: "hs", entries: BEHIND, facts: { leads_to: { "/var/lib/hs": "/var/lib/private/hs" } } },
    ],
    found: /^hs; 5 entries$/,
  },
  {
    name: "the same of a capture that did not tell where the symlink led",
    policy: [
      "{ name: db, kind: rocksdb, path: /var/lib/private/hs/db }",
      "{ name: hs, kind: files, paths: [/var/lib/hs] }",
    ],
    sources: [DATABASE, { name: "hs", entries: BEHIND }],
    outcome: "failed",
    found: /^db lies in \/var\/lib\/private\/hs, which hs replaces on its own$/,
  },
  {
    name: "one path twice",
    policy: ["{ name: a, kind: files, paths: [/srv/a] }", "{ name: b, kind: files, paths: [/srv/a] }"],
    sources: ["a", "b"].map((name) => ({ name, entries: [dir("srv/a")] })),
    outcome: "failed",
    found: /^b and a are both restored to \/srv\/a$/,
  },
  {
    name: "one path twice, behind a symlink",
    policy: [
      "{ name: a, kind: files, paths: [/var/lib/private/hs] }",
      "{ name: b, kind: files, paths: [/var/lib/hs] }",
    ],
    sources: [
      { name: "a", entries: BEHIND.slice(1) },
      { name: "b", entries: BEHIND },
    ],
    outcome: "failed",
    found: /are both restored to \/var\/lib\/private\/hs$/,
  },
  {
    name: "a source that its own policy does not know",
    policy: ["{ name: a, kind: files, paths: [/srv/a] }"],
    sources: ["a", "b"].map((name) => ({ name, entries: [dir(`srv/${name}`)] })),
    outcome: "failed",
    found: /^b: the policy of that day does not say where it belongs/,
  },
  {
    name: "a policy that is none",
    policy: ["{ name: a, kind: cassette }"],
    sources: [{ name: "a", entries: [dir("srv/a")] }],
    outcome: "could-not-run",
    found: /^the policy in the snapshot does not work with this version of drops$/,
  },
  {
    name: "nothing that has a place",
    policy: ["{ name: a, kind: command, argv: [date] }"],
    sources: [{ name: "a", kind: "command", entries: [{ path: "output" }] }],
    found: /^there is nothing to restore$/,
  },
];

describe("a drill plans the guided restore of", () => {
  for (const { name, policy, sources, outcome = "passed", found } of rows)
    test(name, async () => {
      const tiny = await TinyRepository.create();
      const policy_text = [
        "name: tiny\nzone: UTC\nhost: local\nstore: { directory: /s }",
        "keys: { recovery_recipients: [age1abc], metadata_identity_file: /k/m, signing_key_file: /k/s }",
        "sources:",
        ...policy.map((line) => `  - ${line}`),
        "",
      ].join("\n");
      const records = [];
      for (const source of sources) records.push(await tiny.source({ ...source, head: { policy_text } }));
      const { record } = await tiny.commit(records);
      const book = new CheckBook({ now: () => new Date(), say: () => {} });
      await checkGuidedPlan({ ...readPartsOf(tiny), book, policy: undefined }, record, [], HOW);
      const [check, ...others] = book.checks;
      assert.deepEqual([check?.id, check?.outcome, others], ["guided-plan", outcome, []], check?.found);
      assert.match(check?.found ?? "", found);
    });
});
