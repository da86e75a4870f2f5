import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { OUTPUTS } from "../src/cli/outputs.ts";
import { everyCommand } from "./support/every-command.ts";

const main = new URL("../src/main.ts", import.meta.url).pathname;
const scratch = mkdtempSync(join(tmpdir(), "drops-cli-"));
after(() => rmSync(scratch, { recursive: true }));

interface Outcome {
  readonly exit: number | string | null | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

function drops(
  args: readonly string[],
  how: { env?: object; node?: readonly string[] } = {},
): Promise<Outcome> {
  const env = { PATH: process.env["PATH"], ...how.env };
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [...(how.node ?? []), main, ...args],
      { env, cwd: scratch },
      (error, stdout, stderr) => resolve({ exit: error ? error.code : 0, stdout, stderr }),
    );
  });
}

const COMMANDS: readonly (readonly string[])[] = [
  [],
  ...everyCommand()
    .filter(({ hidden }) => !hidden)
    .map(({ words }) => words),
];

test("the help of every command is what it was", async () => {
  const helps = await Promise.all(
    COMMANDS.map(async (command) => {
      const { exit, stdout, stderr } = await drops([...command, "--help"]);
      assert.deepEqual([exit, stderr], [0, ""]);
      return `$ ${["drops", ...command, "--help"].join(" ")}\n${stdout}`;
    }),
  );
  golden("help.txt", helps.join("\n"));
});

test("what libraries and Node warn of quotes no file, and drives no terminal", async () => {
  const policy = join(scratch, "odd.yaml");
  writeFileSync(policy, "? { as_token: b0a7f00d }\n: x\n? [b0a7f00d, \u202e]\n: y\n");
  const { stderr } = await drops(["policy", "check", "--policy", policy]);
  assert.match(stderr, /is not a valid policy/);
  assert.doesNotMatch(stderr.replaceAll(/^ {2}.*$/gm, ""), /Warning|b0a7f00d|\u202e/);
  assert.doesNotMatch(stderr, /\u202e|Keys with collection/);

  const warner = join(scratch, "warner.mjs");
  writeFileSync(
    warner,
    `process.once("beforeExit", () => process.emitWarning("a \u202e\u001b[31m b", "OddWarning"));`,
  );
  const warned = await drops(["--version"], { node: ["--import", warner] });
  assert.equal(warned.stderr, "OddWarning: a \\u202e\\x1b[31m b\n");
});

test("help loads nothing but the command line itself", async () => {
  const tracer = join(scratch, "tracer.mjs");
  writeFileSync(
    tracer,
    `import { registerHooks } from "node:module";
     const seen = [];
     registerHooks({ load: (url, context, next) => { seen.push(url); return next(url, context); } });
     process.on("exit", () => process.stderr.write(seen.join("\\n")));`,
  );
  const { stderr } = await drops(["--help"], { node: ["--import", tracer] });
  const loaded = stderr.split("\n");
  assert.ok(
    loaded.some((url) => url.endsWith("/src/cli/program.ts")),
    "the tracer sees what is loaded",
  );
  const packages = loaded.map((url) => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1]);
  assert.deepEqual([...new Set(packages.filter((name) => name !== undefined))], ["commander"]);
  assert.deepEqual(
    loaded.filter((url) => /\/src\/(?!main|cli\/|lib\/)/.test(url)),
    [],
  );
});

test("--version is the package's", async () => {
  const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  assert.deepEqual(await drops(["--version"]), { exit: 0, stdout: `${version}\n`, stderr: "" });
});

test("an unknown option is exit 2, on standard error, with a hint", async () => {
  assert.deepEqual(await drops(["backup", "--fast"]), {
    exit: 2,
    stdout: "",
    stderr: "drops: unknown option '--fast'\nhint: drops backup --help\n",
  });
});

test("a bad policy is exit 2 and every problem has its place", async () => {
  const file = join(scratch, "bad.yaml");
  writeFileSync(file, "name: Bad\nzone: Mars\n");
  const { exit, stdout, stderr } = await drops(["policy", "check", "--policy", file]);
  assert.deepEqual([exit, stdout], [2, ""]);
  assert.deepEqual(stderr.split("\n"), [
    `drops: ${file} is not a valid policy, 6 problems`,
    `  ${file}:1:1 host: missing, expected local or an object`,
    `  ${file}:1:1 store: missing, expected an object`,
    `  ${file}:1:1 keys: missing, expected an object`,
    `  ${file}:1:1 sources: missing, expected a list`,
    `  ${file}:1:7 name: expected lower-case letters, digits and dashes, starting with a letter`,
    `  ${file}:2:7 zone: an IANA time zone such as Europe/Berlin`,
    "hint: drops policy schema  (lists every field; policies/demo.yaml is a commented example)",
    "",
  ]);
});

test("a missing policy is exit 2 with a hint, for every command that needs one", async () => {
  const missing = [["policy", "check"], ["init"], ["backup"], ["snapshots"], ["verify"]];
  for (const command of missing) {
    const { exit, stdout, stderr } = await drops([...command, "--policy", "./none.yaml"]);
    assert.deepEqual([exit, stdout], [2, ""], command.join(" "));
    assert.equal(
      stderr,
      "drops: cannot read the policy ./none.yaml: no such file\nhint: drops policy check --policy FILE\n",
    );
  }
  const named = await drops(["policy", "check"], { env: { DROPS_POLICY: "no-such-policy-anywhere" } });
  assert.equal(named.exit, 2);
  assert.match(named.stderr, /^drops: no policy named no-such-policy-anywhere in \/etc\/drops\nhint: /);
});

test("with --json the failure is one JSON object on standard output, and words on standard error", async () => {
  const { exit, stdout, stderr } = await drops(["policy", "check", "--policy", "./none.yaml", "--json"]);
  assert.equal(exit, 2);
  assert.deepEqual(OUTPUTS.error.strict().parse(JSON.parse(stdout)), {
    error: {
      code: "usage/invalid",
      message: "cannot read the policy ./none.yaml: no such file",
      hint: "drops policy check --policy FILE",
    },
  });
  assert.match(stderr, /^drops: cannot read/);
});

test("policy check and policy schema answer in words and in JSON", async () => {
  const demo = new URL("../policies/demo.yaml", import.meta.url).pathname;
  const words = await drops(["policy", "check"], { env: { DROPS_POLICY: demo } });
  assert.deepEqual([words.exit, words.stderr], [0, ""]);
  assert.match(
    words.stdout,
    /^.*demo\.yaml is a valid policy: demo, from this machine to \/srv\/backups\/demo/,
  );
  const json = await drops(["policy", "check", "--policy", demo, "--json"]);
  assert.equal(OUTPUTS.policy.strict().parse(JSON.parse(json.stdout)).sources.length, 4);
  const schema = await drops(["policy", "schema"]);
  const stored = readFileSync(new URL("../policies/policy.schema.json", import.meta.url), "utf8");
  assert.equal(schema.stdout, stored);
});

test("a reader that goes away early ends it quietly", async () => {
  const child = spawn(process.execPath, [main, "policy", "schema"], { stdio: ["ignore", "pipe", "pipe"] });
  child.stdout.destroy();
  const { exit, stderr } = await ended(child);
  assert.equal(stderr, "");
  assert.ok(exit === 0 || exit === 130, `exit ${exit}`);
});

for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  test(`${name} asks for cleaning up, a second one ends the process at once`, async () => {
    const fifo = join(scratch, `${name}.yaml`);
    await ended(spawn("mkfifo", [fifo])); // reading a policy from it waits for ever
    const child = spawn(process.execPath, [main, "policy", "check", "--policy", fifo]);
    const outcome = ended(child);
    await using _writer = await open(fifo, "w"); // opens when drops has begun to read
    child.kill(name);
    await once(child.stderr, "data");
    child.kill(name);
    assert.deepEqual(await outcome, {
      exit: name, // ended by the signal itself: a shell makes 130 of SIGINT
      stderr: `${name}: cleaning up; once more to stop at once\n`,
    });
  });
}

async function ended(child: ChildProcess): Promise<{ exit: number | string | null; stderr: string }> {
  let stderr = "";
  child.stderr?.on("data", (chunk) => {
    stderr += chunk;
  });
  const [exit, signal] = (await once(child, "close")) as [number | null, string | null];
  return { exit: exit ?? signal, stderr };
}

/** Compare with a frozen file; DROPS_UPDATE_GOLDEN=1 writes it anew, for a reviewed change. */
function golden(name: string, text: string): void {
  const file = new URL(`golden/${name}`, import.meta.url);
  if (process.env["DROPS_UPDATE_GOLDEN"] === "1") writeFileSync(file, text);
  assert.equal(text, readFileSync(file, "utf8"));
}
