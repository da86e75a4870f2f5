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

for (const file of [
  "README.md",
  "RECOVERY.md",
  "CHANGELOG.md",
  "SECURITY.md",
  ...globSync("docs/*.md", { cwd: root }),
]) {
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

test("the bill of materials lists the lockfile's runtime packages, all of them and no other, each with its hash", async () => {
  const { stdout: bill } = await run("sh", [join(root, "scripts/sbom")], { maxBuffer: 16 * 1024 * 1024 });
  const { metadata, components } = JSON.parse(bill);
  assert.deepEqual(
    [metadata.component.name, metadata.component.version],
    [described.name, described.version],
  );
  const { packages } = JSON.parse(await readFile(join(root, "package-lock.json"), "utf8"));
  const locked = Object.entries<Locked>(packages)
    .filter(([path, { dev, devOptional }]) => path !== "" && !dev && !devOptional)
    .map(([path, { version, integrity }]) => [path.split("node_modules/").at(-1), version, hexOf(integrity)]);
  const listed = components.map((each: Component) => [each.name, each.version, each.hashes[0]?.content]);
  assert.deepEqual(listed.sort(), locked.sort());
  assert.ok(described.dependencies.ssh2 && locked.length > Object.keys(described.dependencies).length);
});

interface Locked {
  readonly version: string;
  readonly integrity: string;
  readonly dev?: boolean;
  readonly devOptional?: boolean;
}
interface Component {
  readonly name: string;
  readonly version: string;
  readonly hashes: readonly { readonly content: string }[];
}
const hexOf = (integrity: string) => Buffer.from(integrity.replace("sha512-", ""), "base64").toString("hex");

test("no package's install script runs, whoever calls npm", async () => {
  assert.match(await readFile(join(root, ".npmrc"), "utf8"), /^ignore-scripts=true$/m);
  assert.match(await readFile(join(root, "nix/package.nix"), "utf8"), /npmFlags = \[ "--ignore-scripts" \];/);
  const callers = globSync(["scripts/**/*", ".forgejo/**/*.yaml"], { cwd: root, withFileTypes: true })
    .filter((each) => each.isFile())
    .map((each) => join(each.parentPath, each.name));
  const calls = (await Promise.all(callers.map((file) => readFile(file, "utf8"))))
    .flatMap((text) => text.split("\n"))
    .filter((line) => /\bnpm (ci|install)\b/.test(line) && !/^\s*(#|echo)/.test(line));
  assert.ok(calls.length >= 2);
  for (const call of calls) assert.match(call, / --ignore-scripts /);
});

test("scripts that do not lie in the project's folder install nothing", async () => {
  await using scratch = await scratchDirectory();
  const call = `cd ${scratch.path} && . ${join(root, "scripts/lib/setup.sh")} && bring_npm_packages`;
  await assert.rejects(run("sh", ["-c", call]), /finds the project by their path, and sh is none of them/);
});

/** A start of bare Node takes 40 ms where drops --help may take 150. */
const RATIO = 150 / 40;
const ROUNDS = 16;

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
  // each beside the other, and the second best: what else the machine does takes from both, now from the one, now from the other
  const rounds = Array.from({ length: ROUNDS }, () => {
    const [bare, help] = [processorTimeOf(["-e", ""]), processorTimeOf([main, "--help"])];
    return { ratio: help / bare, said: `${help.toFixed()} ms where bare Node takes ${bare.toFixed()} ms` };
  }).sort((a, b) => a.ratio - b.ratio);
  assert.ok((rounds[1]?.ratio ?? RATIO) < RATIO, rounds.map(({ said }) => said).join("; "));
});

const TELLING = `data:text/javascript,process.on("exit",()=>{const{user,system}=process.cpuUsage();process.stderr.write(String(user+system))})`;

/** Milliseconds, of all its threads: by the wall clock it would be what the machine does besides that is measured. */
function processorTimeOf(args: readonly string[]): number {
  const { status, stderr } = spawnSync(process.execPath, ["--import", TELLING, ...args], {
    env: { ...process.env, NODE_DISABLE_COMPILE_CACHE: "1" }, // a first start has none
    encoding: "utf8",
  });
  assert.equal(status, 0, stderr);
  return Number(stderr) / 1000;
}
