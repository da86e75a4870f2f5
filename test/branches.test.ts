import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { type Branch, branchesOf, timesTaken } from "./support/branches.ts";
import { Coverage } from "./support/coverage.ts";
import { scratchDirectory } from "./support/scratch.ts";

/** `without`: what is not taken, in the order of places. */
const table: readonly { code: string; without: readonly string[] }[] = [
  { code: "const f = (a: number) => a;", without: ["function"] },
  { code: "const f = () => 1; f();", without: [] },
  { code: "let b = 0; if (b === 0) b = 1;", without: ["no else"] },
  { code: "let b = 0; if (b === 1) b = 1;", without: ["if"] },
  { code: "let b = 0; for (const a of [0, 1]) if (a === 1) b = 1;", without: [] },
  { code: "let b = 0; if (b === 0) b = 1; else b = 2;", without: ["else"] },
  { code: "const a = Math.abs(1); const b = a === 1 ? 2 : 3;", without: [":"] },
  { code: "const a = Math.abs(1); const b = a === 1 && 2;", without: ["left of && decides"] },
  { code: "const a = Math.abs(1); const b = a === 2 && 2;", without: ["right of &&"] },
  { code: "const a = [1][0]; const b = a ?? 2;", without: ["right of ??"] },
  { code: "const f = (a: number) => a === 1 || a === 2; f(1); f(3);", without: [] },
  { code: "for (const a of []) void a; while (false) void 0;", without: ["loop", "loop"] },
  { code: "for (let at = 0; at < 2; at++) void at;", without: [] },
  { code: "for (let at = 0; at < 2 && at !== 5; at++) void at;", without: [] },
  { code: "let at = 2; while (at < 2 && at > 0) at++;", without: ["loop", "right of &&"] },
  {
    code: "const a = Math.abs(2); switch (a) { case 1: break; case 2: break; default: void 0; }",
    without: ["case", "case"],
  },
  { code: "try { void 0; } catch { void 1; }", without: ["catch"] },
  { code: "try { throw new Error(); } catch { void 1; }", without: [] },
  {
    code: "const f = (a: number) => { if (a === 1) return 1; return a === 2 ? 3 : 4; }; f(1);",
    without: ["no else", "?", ":"],
  },
  {
    code: "async function f(a: number) { if (a === 1) { await null; } return a; } await f(1); await f(2);",
    without: [],
  },
  { code: "class A { b = [1].map((a) => a); c(): void {} } new A();", without: ["function"] },
];

for (const { code, without } of table) {
  test(`branches that were not taken: ${code}`, async () => {
    const { branches, times } = await ran(code);
    assert.deepEqual(
      branches.filter((_, at) => times[at] === 0).map(({ kind }) => kind),
      without,
    );
  });
}

test("places are those of the source; how often counts", async () => {
  const { branches, times } = await ran(
    "type A = number;\nconst f = (a: A) =>\n  a > 1 ? 2 : 3;\nf(1);\nf(2);\nf(3);\n",
  );
  const where = branches.map(({ kind, line }, at) => `${line} ${kind} ${times[at]}`);
  assert.deepEqual(where, ["2 function 3", "3 ? 2", "3 : 1"]);
});

test("a file that nothing loads has no branch taken; half a file of counts is left for later", async () => {
  await using at = await scratchDirectory();
  const coverage = new Coverage("src/chunk/*.ts");
  const none = coverage.byRoom().get("chunk");
  assert.ok(none && none.covered === 0 && none.total > 20);
  writeFileSync(join(at.path, "half.json"), '{"result":[');
  await coverage.takeFrom(at.path);
  const url = new URL("../src/chunk/chunk-index.ts", import.meta.url);
  const whole = { startOffset: 0, endOffset: readFileSync(url).length, count: 1 };
  const script = { url: url.href, functions: [{ ranges: [whole] }] };
  writeFileSync(
    join(at.path, "half.json"),
    JSON.stringify({ result: [script, { ...script, url: "node:fs" }] }),
  );
  await Promise.all([coverage.takeFrom(at.path), coverage.takeFrom(at.path)]);
  assert.equal(
    coverage.uncovered().some(({ file }) => file === "src/chunk/fastcdc.ts"),
    true,
  );
  const left = coverage.uncovered().filter(({ file }) => file === "src/chunk/chunk-index.ts");
  assert.deepEqual(
    new Set(left.map(({ kind }) => kind.replace(/.* decides|no else/, "other way"))),
    new Set(["other way"]),
  );
});

/** What V8 counts of a program. */
async function ran(code: string): Promise<{ branches: readonly Branch[]; times: readonly number[] }> {
  await using at = await scratchDirectory();
  const file = join(at.path, "code.mts");
  writeFileSync(file, code);
  const count = `
    import { Session } from "node:inspector/promises";
    const session = new Session();
    session.connect();
    await session.post("Profiler.enable");
    await session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
    await import(process.argv[1]);
    const { result } = await session.post("Profiler.takePreciseCoverage");
    console.log(JSON.stringify(result.find(({ url }) => url === process.argv[1])));`;
  const { stdout } = spawnSync(
    process.execPath,
    ["--input-type=module", "-e", count, pathToFileURL(file).href],
    {
      encoding: "utf8",
    },
  );
  const branches = branchesOf(code);
  return { branches, times: timesTaken(branches, JSON.parse(stdout)) };
}
