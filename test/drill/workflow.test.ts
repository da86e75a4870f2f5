import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import { parseDocument } from "yaml";
import * as z from "zod";
import { buildProgram } from "../../src/cli/program.ts";
import { Screen } from "../../src/cli/screen.ts";

const root = new URL("../../", import.meta.url).pathname;

const Step = z.strictObject({
  name: z.string().optional(),
  uses: z.string().optional(),
  with: z.record(z.string(), z.unknown()).optional(),
  run: z.string().optional(),
  env: z.record(z.string(), z.string()).optional(),
  if: z.string().optional(),
});
const Workflow = z.strictObject({
  name: z.string(),
  on: z.strictObject({
    schedule: z.array(z.strictObject({ cron: z.string() })),
    workflow_dispatch: z.strictObject({ inputs: z.record(z.string(), z.object({ default: z.string() })) }),
  }),
  concurrency: z.object({ group: z.string() }),
  permissions: z.record(z.string(), z.literal("read")),
  jobs: z.strictObject({
    drill: z.strictObject({
      "runs-on": z.string(),
      container: z.object({ image: z.string() }),
      "timeout-minutes": z.int(),
      env: z.record(z.string(), z.string()),
      steps: z.array(Step),
    }),
  }),
});

const text = readFileSync(join(root, ".forgejo/workflows/drill.yaml"), "utf8");
const document = parseDocument(text, { strict: true, uniqueKeys: true });
const workflow = Workflow.parse(document.toJS());
const { steps, env } = workflow.jobs.drill;
const script = (name: string) => steps.find((step) => step.name === name)?.run ?? "";

test("the workflow is YAML of a known shape, weekly and on demand", () => {
  assert.deepEqual([document.errors, document.warnings], [[], []]);
  const [minute, hour, day, month, weekday] = (workflow.on.schedule[0]?.cron ?? "")
    .split(" ")
    .map((part) => part);
  assert.ok(Number(minute) < 60 && Number(hour) < 24);
  assert.deepEqual([day, month], ["*", "*"]);
  assert.match(weekday ?? "", /^[0-6]$/);
  assert.equal(workflow.on.workflow_dispatch.inputs["date"]?.default, "latest");
});

test("its commands are ones that a shell reads", () => {
  const scripts = steps.flatMap(({ run }) => (run === undefined ? [] : [run]));
  assert.ok(scripts.length >= 4);
  for (const run of scripts) execFileSync("sh", ["-n", "-c", run]);
});

test("secrets reach files and nothing else: no argument holds one, and they are gone before anything is uploaded", () => {
  const withSecrets = steps.filter((step) => JSON.stringify(step).includes("secrets."));
  assert.deepEqual(
    withSecrets.map(({ name }) => name),
    ["Secrets into files that nobody else reads"],
  );
  for (const { run = "" } of steps) assert.doesNotMatch(run, /\$\{\{/);
  assert.match(script("Secrets into files that nobody else reads"), /^umask 077\n/);
  const names = steps.map(({ name, uses }) => name ?? uses);
  assert.ok(names.indexOf("Secrets away") < names.indexOf("Evidence"));
  assert.equal(steps.find(({ name }) => name === "Secrets away")?.if, "always()");
  const upload = steps.find(({ name }) => name === "Evidence");
  assert.equal(upload?.if, "always()");
  assert.equal(upload?.with?.["path"], "drills");
});

test("the drill that it runs is one that drops understands, with a policy that is there", async () => {
  assert.ok(existsSync(join(root, env["POLICY"] ?? "")));
  const line = script("Drill")
    .replaceAll("\\\n", " ")
    .split("\n")
    .find((each) => each.includes("drops -- "));
  const words = (line ?? "").split("drops -- ")[1]?.trim().split(/\s+/) ?? [];
  assert.equal(words[0], "drill");
  const stream = () => Object.assign(new PassThrough(), { isTTY: false });
  const screen = new Screen({
    stdout: stream(),
    stderr: stream(),
    json: false,
    quiet: true,
    color: false,
    clock: () => 0,
  });
  const program = buildProgram({
    screen,
    signal: new AbortController().signal,
    context: { env: {}, now: () => new Date(0), version: "0", reporter: screen },
    app: () => Promise.reject(new Error("opened")),
  });
  // that far, and no further: every option was understood
  await assert.rejects(program.parseAsync(words, { from: "user" }), /^Error: opened$/);
});
