import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import { type Paint, Screen } from "../src/cli/screen.ts";
import { backupInWords } from "../src/cli/words/backup.ts";
import { drillInWords } from "../src/cli/words/drill.ts";
import { table } from "../src/cli/words/format.ts";
import { bootstrapInWords, guidedInWords } from "../src/cli/words/guided.ts";
import { keygenInWords } from "../src/cli/words/keygen.ts";
import { keysInWords } from "../src/cli/words/keys.ts";
import { notifyTestInWords } from "../src/cli/words/notify.ts";
import { planInWords } from "../src/cli/words/plan.ts";
import { restoreInWords } from "../src/cli/words/restore.ts";
import { showInWords } from "../src/cli/words/show.ts";
import { snapshotsInWords } from "../src/cli/words/snapshots.ts";
import { statusInWords } from "../src/cli/words/status.ts";
import { verifyInWords } from "../src/cli/words/verify.ts";
import * as guided from "./support/sample-guided.ts";
import * as samples from "./support/sample-reports.ts";
import { planned } from "./support/sample-retention.ts";
import { sampleReport } from "./support/sample-status.ts";

/** What a command prints on a terminal of so many columns; undefined: into a pipe. */
type Printed = (columns: number | undefined) => string;
const printed =
  <Value>(value: Value, words: (value: Value, paint: Paint) => string): Printed =>
  (columns) => {
    const stdout = Object.assign(new PassThrough(), { isTTY: columns !== undefined, columns: columns ?? 0 });
    const screen = new Screen({
      ...{ stdout, stderr: new PassThrough(), json: false, quiet: false, color: false },
      clock: () => 0,
    });
    screen.show(value, words);
    return String(stdout.read());
  };

const commands: Readonly<Record<string, Printed>> = {
  snapshots: printed(samples.snapshots, snapshotsInWords),
  status: printed(sampleReport(), statusInWords),
  plan: printed(planned, planInWords),
  show: printed(samples.show, showInWords),
  keys: printed(samples.keys, keysInWords),
  keygen: printed(samples.keygen, keygenInWords),
  backup: printed(samples.backup, backupInWords),
  restore: printed(samples.restore, restoreInWords),
  "restore --host": printed(guided.restored, guidedInWords),
  "restore --only bootstrap": printed(guided.bootstrapped, bootstrapInWords),
  drill: printed(samples.drill, drillInWords),
  verify: printed(samples.verify, verifyInWords),
  "notify test": printed(samples.notifyTest, notifyTestInWords),
};

const words = (text: string) => text.split(/\s+/).filter((word) => word !== "");

for (const [command, print] of Object.entries(commands)) {
  for (const columns of [60, 120]) {
    test(`${command} in ${columns} columns: its tables fit, and no word of them is lost`, () => {
      const wide = print(undefined);
      const narrow = print(columns);
      const rows = narrow.split("\n").filter((line) => !wide.split("\n").includes(line));
      const tooLong = rows.filter((line) => line.length > columns && words(line).length > 2);
      assert.deepEqual(tooLong, [], narrow);
      const inRows = wide.split("\n").filter((line) => / {2}\S+.* {2}/.test(line.trim()));
      assert.deepEqual(
        inRows.filter((line) => line.length > columns && narrow.includes(`${line}\n`)),
        [],
        "a row that was left as wide as it was",
      );
      const kept = new Set(words(narrow));
      assert.deepEqual(
        words(wide).filter((word) => !kept.has(word)),
        [],
      );
    });
  }
}

const ROWS = [
  ["2026-11-20 02:30:05 +01:00", "0123456789abcdef", "1,234", "the newest complete one, kept for ever"],
  ["2026-11-21 02:30:05 +01:00", "fedcba9876543210", "7", ""],
];
const shape = (width: number | undefined) =>
  table(["ended", "id", "files", "why"], ROWS, { right: ["files"], width });

test("a table that fits is left alone; a wider one is broken between words; a much wider one is stacked", () => {
  assert.equal(shape(200), shape(undefined));
  assert.equal(
    shape(70),
    `ended                id                files  why
2026-11-20 02:30:05  0123456789abcdef  1,234  the newest complete
+01:00                                        one, kept for ever
2026-11-21 02:30:05  fedcba9876543210      7
+01:00`,
  );
  assert.equal(
    shape(40),
    `ended  2026-11-20 02:30:05 +01:00
id     0123456789abcdef
files  1,234
why    the newest complete one, kept for
       ever

ended  2026-11-21 02:30:05 +01:00
id     fedcba9876543210
files  7`,
  );
});
