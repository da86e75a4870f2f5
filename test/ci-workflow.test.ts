import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { parseDocument } from "yaml";
import * as z from "zod";

const root = new URL("../", import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), "utf8");

const Workflow = z.strictObject({
  name: z.literal("test"),
  on: z.strictObject({
    push: z.strictObject({ branches: z.array(z.string()) }),
    pull_request: z.null(),
    workflow_dispatch: z.null(),
  }),
  concurrency: z.object({ group: z.string() }),
  permissions: z.record(z.string(), z.literal("read")),
  jobs: z.strictObject({
    test: z.strictObject({
      "runs-on": z.string(),
      container: z.strictObject({ image: z.string(), options: z.literal("--privileged") }),
      "timeout-minutes": z.int(),
      steps: z.array(
        z.strictObject({
          name: z.string().optional(),
          uses: z.string().optional(),
          run: z.string().optional(),
        }),
      ),
    }),
  }),
});

test("every push and pull request runs types, lint and all tests, the worst day among them", () => {
  const document = parseDocument(read(".forgejo/workflows/test.yaml"), { strict: true, uniqueKeys: true });
  assert.deepEqual([document.errors, document.warnings], [[], []]);
  const workflow = Workflow.parse(document.toJS());
  assert.deepEqual(workflow.on.push.branches, ["main"]);
  assert.ok(workflow.jobs.test.steps.some(({ run }) => run === "sh scripts/check"));
  const check = read("scripts/check");
  for (const part of ["typescript/bin/tsc --noEmit", "biome check .", 'sh scripts/test "$@"'])
    assert.ok(check.includes(part), part);
  // all files when none is named
  assert.ok(read("scripts/test.ts").includes('globSync("test/**/*.test.ts"'));
  assert.ok(existsSync(new URL("test/e2e/worst-day.test.ts", root)));
});

test("actions and images are named by the hash of what they are, not by a tag that moves", () => {
  const files = globSync(".forgejo/workflows/*", { cwd: root.pathname });
  assert.ok(files.length >= 2);
  const lines = files.flatMap((file) => read(file).split("\n"));
  const named = (key: string) =>
    lines.flatMap((line) => new RegExp(`^[\\s-]*${key}: (\\S+)`).exec(line)?.[1] ?? []);
  assert.ok(named("uses").length >= 3 && named("image").length >= 2);
  for (const action of named("uses")) assert.match(action, /^[\w./-]+@[0-9a-f]{40}$/);
  for (const image of named("image")) assert.match(image, /^[\w./-]+:[\w.-]+@sha256:[0-9a-f]{64}$/);
});
