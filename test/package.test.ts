import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { existsSync, globSync } from "node:fs";
import { cp, readFile, symlink } from "node:fs/promises";
import { dirname, join, normalize } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { scratchDirectory } from "./support/scratch.ts";

const run = promisify(execFile);
const root = new URL("../", import.meta.url).pathname;
const described = JSON.parse(await readFile(join(root, "package.json"), "utf8"));

/** Targets of relative links in a Markdown file, as paths in the project. */
async function linksOf(file: string): Promise<string[]> {
  const text = (await readFile(join(root, file), "utf8")).replaceAll(/```[\s\S]*?```/g, "");
  return [...text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)]
    .map(([, target = ""]) => target)
    .filter((target) => !/^[a-z]+:/.test(target))
    .map((target) => normalize(join(dirname(file), target)).replace(/\/$/, ""));
}

for (const file of ["README.md", "RECOVERY.md", "CHANGELOG.md", ...globSync("docs/*.md", { cwd: root })]) {
  test(`what ${file} links to is there`, async () => {
    assert.deepEqual(
      (await linksOf(file)).filter((target) => !existsSync(join(root, target))),
      [],
    );
  });
}

test("README leads to every document", async () => {
  const linked = await linksOf("README.md");
  const all = globSync("docs/*.md", { cwd: root }).sort();
  assert.deepEqual(
    all.filter((file) => !linked.includes(file)),
    [],
  );
});

test("what README links to for a person is in the package", async () => {
  const packed: readonly string[] = [...described.files, "README.md", "LICENSE"];
  const outside = (await linksOf("README.md")).filter(
    (target) => !packed.some((each) => target === each || target.startsWith(`${each}/`)),
  );
  assert.deepEqual(outside, []);
});

/** A start of bare Node takes 40 ms where drops --help may take 150. */
const RATIO = 150 / 40;
const ROUNDS = 9;

test("the built drops --help starts in under 150 ms where bare Node takes 40", async () => {
  await using scratch = await scratchDirectory();
  const dist = join(scratch.path, "dist");
  const compiler = join(root, "node_modules/typescript/bin/tsc");
  await run(process.execPath, [compiler, "-p", join(root, "tsconfig.build.json"), "--outDir", dist]);
  await cp(join(root, "package.json"), join(scratch.path, "package.json"));
  await symlink(join(root, "node_modules"), join(scratch.path, "node_modules"));
  const main = join(dist, "main.js");
  const { stdout } = await run(process.execPath, [main, "--help"]);
  assert.equal(stdout, (await run(process.execPath, [join(root, "src/main.ts"), "--help"])).stdout);
  // in turn, and the best of each: what else the machine does slows both down
  let [bare, help] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let round = 0; round < ROUNDS; round++) {
    bare = Math.min(bare, timeOf(["-e", ""]));
    help = Math.min(help, timeOf([main, "--help"]));
  }
  assert.ok(help < bare * RATIO, `${help.toFixed()} ms where bare Node takes ${bare.toFixed()} ms`);
});

function timeOf(args: readonly string[]): number {
  const began = performance.now();
  const { status } = spawnSync(process.execPath, args);
  assert.equal(status, 0);
  return performance.now() - began;
}
