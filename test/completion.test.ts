import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { quote } from "../src/host/quote.ts";
import { drops } from "./support/in-process.ts";
import { openSite, type Site } from "./support/site.ts";
import { openTerminal } from "./support/terminal.ts";
import { until } from "./support/until.ts";

const run = promisify(execFile);
const main = new URL("../src/main.ts", import.meta.url).pathname;
let site: Site;
let bin: string;

before(async () => {
  site = await openSite();
  bin = await mkdtemp(join(tmpdir(), "drops-bin-"));
  // completes as drops does, and writes down whatever else it is asked
  const asked = quote(join(bin, "asked"));
  await writeFile(
    join(bin, "drops"),
    `#!/bin/sh\nif [ "$1" = complete ]; then exec ${quote(process.execPath)} ${quote(main)} "$@"; fi\nprintf '%s\\n' "$@" > ${asked}.new && mv ${asked}.new ${asked}\n`,
  );
  await chmod(join(bin, "drops"), 0o755);
});
after(async () => {
  await site[Symbol.asyncDispose]();
  await rm(bin, { recursive: true });
});

const rows: readonly { words: string; offers: readonly string[]; not?: readonly string[] }[] = [
  { words: "st", offers: ["status"] },
  { words: "", offers: ["init", "backup", "restore", "completion"], not: ["complete"] },
  { words: "policy ", offers: ["check", "show", "schema"] },
  { words: "--policy x pol", offers: ["policy"] },
  { words: "restore --d", offers: ["--date", "--dry-run"], not: ["--to"] },
  { words: "restore --date latest --j", offers: ["--json"] },
  { words: "iam ", offers: ["writer", "janitor", "keeper", "restorer", "lifecycle"] },
  { words: "iam writer --conditions ", offers: ["aws", "none"] },
  { words: "iam writer --conditions=n", offers: ["--conditions=none"] },
  { words: "iam writer --conditions = n", offers: ["none"] }, // as bash cuts it
  { words: "completion ", offers: ["bash", "zsh", "fish"] },
  { words: "backup --source ", offers: ["words"] },
  { words: "show ", offers: ["latest", "yesterday", "ID"] },
  { words: "restore --snapshot ", offers: ["ID"], not: ["latest"] },
  { words: "export ", offers: ["words"] },
  { words: "ls latest w", offers: ["words"] },
  { words: "show -- la", offers: ["latest"] },
  { words: "backup ", offers: [] },
  { words: "no-such-command --", offers: ["--policy"] },
  { words: "keygen --to ", offers: ["files"] },
  { words: "status --html=", offers: ["files"] },
  { words: "status --policy ./", offers: ["files"] },
];
for (const { words, offers, not = [] } of rows) {
  test(`drops ${words}TAB offers ${offers.join(" ") || "nothing"}`, async () => {
    const id = (await snapshotOf(site)).id;
    const { exit, stdout, stderr } = await drops(["complete", "--", ...words.split(" ")], {
      env: { DROPS_POLICY: join(site.directory, "policy.yaml") },
    });
    assert.deepEqual([exit, stderr], [0, ""]);
    const [kind, ...lines] = stdout.trimEnd().split("\n");
    const found = kind === "files" ? ["files"] : lines.map((line) => line.split("\t")[0] ?? "");
    const wanted = offers.map((word) => (word === "ID" ? id : word));
    assert.deepEqual(
      wanted.filter((word) => !found.includes(word)),
      [],
      stdout,
    );
    if (offers.length === 0) assert.deepEqual(found, []);
    assert.deepEqual(
      not.filter((word) => found.includes(word)),
      [],
    );
  });
}

const unanswered: readonly { words: string; policy: string }[] = [
  { words: "backup --source ", policy: "./none.yaml" },
  { words: "show --store /nowhere 5", policy: "./none.yaml" },
  { words: "show --store s3://b/p?endpoint=http://127.0.0.1:9 5", policy: "./none.yaml" },
];
for (const { words, policy } of unanswered) {
  test(`drops ${words}TAB offers nothing, without a complaint, when it cannot know`, async () => {
    const outcome = await drops(["complete", "--", ...words.split(" ")], { env: { DROPS_POLICY: policy } });
    assert.deepEqual(outcome, { exit: 0, stdout: "words\n", stderr: "" });
  });
}

const SHELLS = [
  {
    shell: "bash",
    start: "bash --norc --noprofile -i",
    source: "source <(drops-script bash)",
  },
  {
    shell: "zsh",
    start: "zsh -f -i",
    source: "autoload -U compinit && compinit -u -D && source <(drops-script zsh)",
  },
  { shell: "fish", start: "fish --no-config -i", source: "drops-script fish | source" },
] as const;
for (const { shell, start, source } of SHELLS) {
  test(`${shell} completes a command, an option and a source when TAB is pressed`, async () => {
    const { id } = await snapshotOf(site);
    await writeFile(
      join(bin, "drops-script"),
      `#!/bin/sh\nexec ${quote(process.execPath)} ${quote(main)} completion "$1"\n`,
      { mode: 0o755 },
    );
    await using terminal = openTerminal(start, {
      cwd: bin,
      env: {
        PATH: `${bin}:${process.env["PATH"]}`,
        DROPS_POLICY: join(site.directory, "policy.yaml"),
        HOME: bin,
        INPUTRC: "/dev/null",
      },
    });
    const typed: readonly (readonly [string, readonly string[]])[] = [
      ["drops snap\t--js\t\n", ["snapshots", "--json"]],
      ["drops backup --sou\two\t\n", ["backup", "--source", "words"]],
      [`drops show ${id.slice(0, 4)}\t\n`, ["show", id]],
    ];
    // echoes are not waited for: what the command was asked in the end is the proof
    terminal.type(`${source}; echo rea''dy\n`);
    await terminal.until(/(?<!'')ready/);
    for (const [keys, words] of typed) {
      await rm(join(bin, "asked"), { force: true });
      for (const part of keys.split(/(?<=[\t\n])/)) {
        terminal.type(part);
      }
      assert.deepEqual(await asked(terminal), words, terminal.shown());
    }
  });
}

/** The words that the stand-in for drops was called with. */
async function asked(terminal: { shown(): string }): Promise<string[]> {
  const read = () => readFile(join(bin, "asked"), "utf8").catch(() => undefined);
  await until("drops is called", async () => (await read()) !== undefined).catch((cause: unknown) => {
    throw new Error(terminal.shown(), { cause });
  });
  return ((await read()) ?? "").trimEnd().split("\n");
}

test("bash lets names of files be completed by itself", async () => {
  const { stdout: script } = await run(process.execPath, [main, "completion", "bash"]);
  const probe = `${script}\ncompopt() { echo "compopt $1 $2"; }\nCOMP_WORDS=(drops keygen --to ""); COMP_CWORD=3; _drops drops; echo "\${#COMPREPLY[@]}"`;
  const { stdout } = await run("bash", ["--norc", "-c", probe], {
    env: { ...process.env, PATH: `${bin}:${process.env["PATH"]}` },
  });
  assert.equal(stdout, "compopt -o default\n0\n");
});

async function snapshotOf(site: Site): Promise<{ id: string }> {
  const { stdout } = await site.drops("snapshots", "--json");
  return JSON.parse(stdout).snapshots[0];
}
