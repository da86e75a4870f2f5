import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { prometheusOf } from "../../src/status/prometheus.ts";
import { statusOf } from "../../src/status/status.ts";
import { brokenSeen, greenSeen } from "../support/sample-status.ts";

test("the metrics are what they were", () => {
  const text = prometheusOf(statusOf(brokenSeen()));
  const file = new URL("../golden/status.prom", import.meta.url);
  if (process.env["DROPS_UPDATE_GOLDEN"] === "1") writeFileSync(file, text);
  assert.equal(text, readFileSync(file, "utf8"));
});

test("every line is one that the text format knows, and every metric is described once, before its samples", () => {
  const seen = greenSeen({ policy: 'a"b\\c\nd\u001b' });
  const described = new Set<string>();
  const typed = new Set<string>();
  for (const line of prometheusOf(statusOf(seen)).trimEnd().split("\n")) {
    const [, kind, name = ""] = /^# (HELP|TYPE) ([a-z_]+) .+$/.exec(line) ?? [];
    if (kind === "HELP") assert.ok(!described.has(name) && described.add(name), line);
    else if (kind === "TYPE") assert.ok(described.has(name) && typed.add(name), line);
    else {
      const sample = /^([a-z_]+)\{policy="a\\"b\\\\c\\nd\?"(?:,[a-z]+="[^"\\\n]*")*\} -?\d+(?:\.\d+)?$/.exec(
        line,
      );
      assert.ok(sample && typed.has(sample[1] ?? ""), line);
    }
  }
  assert.ok(described.size > 15);
});

test("what is not known has no sample: neither a snapshot nor a drill", () => {
  const text = prometheusOf(statusOf(greenSeen({ snapshots: [], evidence: [], verifies: [] })));
  assert.doesNotMatch(
    text,
    /drops_newest_complete|drops_oldest|drops_last_|drops_source_newest|NaN|undefined/,
  );
  assert.match(text, /^drops_restore_points\{policy="ops"\} 0$/m);
  assert.match(text, /^drops_status_state\{policy="ops",state="broken"\} 1$/m);
});

test("docs/status.md names every metric", () => {
  const docs = readFileSync(new URL("../../docs/status.md", import.meta.url), "utf8");
  const text = prometheusOf(statusOf(brokenSeen()));
  const names = [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name ?? "");
  assert.deepEqual(
    names.filter((name) => !docs.includes(`\`${name}\``)),
    [],
  );
});
