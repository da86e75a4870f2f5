import { escaped } from "../page/escape.ts";
import type { Evidence } from "./evidence.ts";

type Check = Evidence["checks"][number];

/**
 * Evidence as JUnit XML, as CI systems read it (the schema of Jenkins' xunit plugin): a test suite, a test case a check.
 * What failed is a failure, what could not run an error, what was not tested is skipped.
 */
export function junitOf(evidence: Evidence): string {
  const { checks, not_tested: skipped, policy, ended, started } = evidence;
  const count = (...outcomes: readonly Check["outcome"][]) =>
    checks.filter(({ outcome }) => outcomes.includes(outcome)).length;
  const counts = {
    name: `drops drill of ${policy}`,
    tests: checks.length + skipped.length,
    failures: count("failed", "damaged"),
    errors: count("could-not-run"),
    skipped: skipped.length,
    time: ((Date.parse(ended) - Date.parse(started)) / 1000).toFixed(3),
    timestamp: started.slice(0, 19),
  };
  const properties = {
    verdict: evidence.verdict,
    snapshot: evidence.snapshot.id,
    "snapshot.ended": evidence.snapshot.ended,
    evidence: evidence.id,
  };
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites>`,
    `  <testsuite ${attributes(counts)}>`,
    "    <properties>",
    ...Object.entries(properties).map(([name, value]) => `      <property ${attributes({ name, value })}/>`),
    "    </properties>",
    ...checks.map((check) => testCase(policy, check)),
    ...skipped.map(({ what, why }) => {
      const head = attributes({ classname: `${policy}.not-tested`, name: what, time: "0.000" });
      return `    <testcase ${head}><skipped ${attributes({ message: why })}/></testcase>`;
    }),
    "  </testsuite>",
    "</testsuites>",
    "",
  ].join("\n");
}

function testCase(policy: string, check: Check): string {
  const classname = `${policy}.${check.source ?? "snapshot"}`;
  const head = attributes({ classname, name: check.name, time: (check.took_ms / 1000).toFixed(3) });
  if (check.outcome === "passed") {
    return `    <testcase ${head}><system-out>${escaped(check.found)}</system-out></testcase>`;
  }
  const kind = check.outcome === "could-not-run" ? "error" : "failure";
  const what = attributes({ message: check.found, type: check.outcome });
  const hint = check.hint === null ? "" : escaped(check.hint);
  return `    <testcase ${head}><${kind} ${what}>${hint}</${kind}></testcase>`;
}

function attributes(values: Readonly<Record<string, string | number>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name}="${escaped(String(value))}"`)
    .join(" ");
}
