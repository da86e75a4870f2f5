import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { head, MOST, tail } from "../../src/notify/bounds.ts";
import { compose } from "../../src/notify/compose.ts";
import { jsonOf } from "../../src/notify/json-body.ts";
import { AlertBody } from "../../src/notify/report.ts";
import { ALERT_EVENTS } from "../../src/policy/notify-schema.ts";

const run = {
  policy: "ops",
  zone: "Europe/Berlin",
  verb: "backup",
  machine: "backup-host",
  started: new Date("2026-11-20T01:29:00Z"),
} as const;
const at = new Date("2026-11-20T01:30:00Z");

const words: readonly [
  name: string,
  say: Partial<Parameters<typeof compose>[1]>,
  title: string,
  message: string,
][] = [
  [
    "a failure says what, what next, since when, where",
    {
      event: "failure",
      lastGood: "2026-11-18T01:30:00.000Z",
      since: "2026-11-19T01:30:00.000Z",
      outcome: {
        event: "failure",
        exitCode: 11,
        failure: { code: "store/unavailable", message: "the store is away", hint: "look there" },
        trouble: "",
        mayPass: true,
        log: ["one", "two"],
      },
    },
    "drops: backup of ops failed",
    "the store is away\nnext: look there\nlast went well: 2026-11-18 02:30:00 +01:00\nfails since: 2026-11-19 02:30:00 +01:00\non backup-host, exit 11",
  ],
  [
    "a success says what was done",
    {
      event: "success",
      outcome: {
        event: "success",
        exitCode: 0,
        trouble: "",
        mayPass: false,
        summary: "snapshot 5f: 1 source",
        log: [],
      },
    },
    "drops: backup of ops went well",
    "snapshot 5f: 1 source\non backup-host, exit 0",
  ],
  [
    "a recovery says what is over",
    {
      event: "recovered",
      since: "2026-11-19T01:30:00.000Z",
      outcome: { event: "success", exitCode: 0, trouble: "", mayPass: false, log: ["x"] },
    },
    "drops: backup of ops is well again",
    "had failed since: 2026-11-19 02:30:00 +01:00\non backup-host",
  ],
  ["a start", { event: "start" }, "drops: backup of ops started", "on backup-host"],
];
for (const [name, say, title, message] of words) {
  test(name, () => {
    const alert = compose(run, { id: "i", event: "start", reminder: false, at, ...say });
    assert.deepEqual([alert.title, alert.message], [title, message]);
  });
}

test("every alert is bounded and what its schema says, whatever went wrong", () => {
  const text = fc.string({ unit: "grapheme", maxLength: 4000 });
  const property = fc.property(
    fc.constantFrom(...ALERT_EVENTS),
    text,
    fc.option(text, { nil: undefined }),
    fc.array(fc.string({ maxLength: 600 }), { maxLength: 200 }),
    (event, message, hint, log) => {
      const failure = { code: "host/command-failed", message, ...(hint !== undefined && { hint }) };
      const ended = event === "success" || event === "recovered" ? "success" : "failure";
      const outcome = {
        event: ended,
        exitCode: 12,
        failure,
        trouble: "x",
        mayPass: false,
        log,
        summary: message,
      } as const;
      const alert = compose(run, { id: "i", event, reminder: true, at, outcome });
      const json = jsonOf(alert);
      AlertBody.strict().parse(JSON.parse(json));
      assert.ok(Buffer.byteLength(alert.title) <= MOST.title);
      assert.ok(Buffer.byteLength(alert.message) <= MOST.message);
      assert.ok(Buffer.byteLength(alert.log ?? "") <= MOST.log);
      assert.ok(Buffer.byteLength(json) <= 8192, `${Buffer.byteLength(json)}`);
    },
  );
  fc.assert(property, { numRuns: 200 });
});

test("text is cut between characters, a log between lines, at its old end", () => {
  assert.equal(head("äöü", 6), "äöü");
  assert.equal(head("äöüß", 7), "äö…");
  assert.equal(tail(["old", "one", "two"], 8), "one\ntwo");
  assert.equal(tail(["x".repeat(500)], 1000).length, MOST.line - 2);
});
