import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { PassThrough } from "node:stream";
import { describe, test } from "node:test";
import { fail } from "../../src/cli/fail.ts";
import { run } from "../../src/cli/program.ts";
import { Screen } from "../../src/cli/screen.ts";
import { STEPS } from "../../src/guided/run/steps.ts";
import { documentAsMarkdown } from "../../src/paper/as-markdown.ts";
import { documentAsPage } from "../../src/paper/as-page.ts";
import { documentAsText } from "../../src/paper/as-text.ts";
import type { PaperDocument } from "../../src/paper/document.ts";
import { runbook } from "../../src/paper/runbook.ts";
import { GENERAL, runbookFacts } from "../../src/paper/runbook-facts.ts";
import { recoverySheet } from "../../src/paper/sheet.ts";
import { typedStoreUrl } from "../../src/paper/store-commands.ts";
import { loadPolicy } from "../../src/policy/load.ts";
import { parseStoreUrl } from "../../src/store/store-url.ts";
import { fakeApp } from "../support/fake-app.ts";

const place = {
  signers: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIO1jpCfUjQboiO7uM5f08DYmHiqJ7gwBcH2nFqt8uwyR"],
  revoked: [],
  script: "5f".repeat(32),
};
const policies = ["ops-jrz1", "demo"];
const root = new URL("../../", import.meta.url);
const ofPolicy = async (name: string) =>
  runbookFacts((await loadPolicy(new URL(`policies/${name}.yaml`, root).pathname)).policy, place);

test("RECOVERY.md is the general runbook", () => {
  const file = new URL("RECOVERY.md", root);
  const text = documentAsMarkdown(runbook(GENERAL));
  if (process.env["DROPS_UPDATE_GOLDEN"] === "1") writeFileSync(file, text);
  assert.equal(readFileSync(file, "utf8"), text);
});

test("an upgrade that asks for a fresh database: both ways are told, and what is lost with the second", async () => {
  for (const about of [GENERAL, await ofPolicy("ops-jrz1")]) {
    const book = documentAsText(runbook(about)).replaceAll(/\s+/g, " ");
    assert.match(book, /Some upgrades of a homeserver ask for a fresh database/);
    assert.match(book, /the Matrix side is rebuilt from Slack/);
    assert.ok(book.includes(`Move ${about.rocksdb[0]?.path} to another name`));
    assert.match(book, /what is lost:? Matrix accounts .* keys of encrypted rooms .* only Matrix had/);
  }
  assert.doesNotMatch(documentAsText(runbook({ ...GENERAL, hasBridge: false })), /Slack hands out/);
});

const documents: readonly { name: string; make: () => Promise<PaperDocument> }[] = [
  { name: "RECOVERY.md", make: async () => runbook(GENERAL) },
  ...policies.map((name) => ({
    name: `the runbook of ${name}`,
    make: async () => runbook(await ofPolicy(name)),
  })),
  {
    name: "the recovery sheet",
    make: async () =>
      recoverySheet({
        ...(await ofPolicy("ops-jrz1")),
        ...{ identity: "AGE-SECRET-KEY-1X", recipient: "age1x", repositoryId: "0", authority: undefined },
        ...{ sameDisk: undefined, sshKey: "/etc/drops/keys/ssh key" },
        ...{ made: "1970-01-01", version: "1.2.3" },
      }),
  },
];

for (const { name, make } of documents)
  describe(name, () => {
    test("the command line accepts every line of drops in it", async () => {
      const lines = commandsIn(await make()).filter((line) => line.startsWith("drops "));
      assert.ok(lines.length >= 2, "there are some");
      for (const line of lines) assert.equal(await usageProblem(words(line).slice(1)), undefined, line);
    });

    test("recover.sh knows every option that it is given, and takes its arguments in this order", async () => {
      const script = readFileSync(new URL("src/backup/recover.sh", root), "utf8");
      const usage = script.slice(0, script.indexOf("set -euo"));
      const call = commandsIn(await make()).find((line) => line.includes("bash recover.sh"));
      assert.ok(call);
      const args = words(call.slice(call.indexOf("bash recover.sh"))).slice(2);
      const positional: string[] = [];
      for (let at = 0; at < args.length; at++) {
        const word = args[at] ?? "";
        if (!word.startsWith("--")) {
          positional.push(word);
          continue;
        }
        assert.match(usage, new RegExp(`^#   ${word} [A-Z]`, "m"));
        at++;
      }
      assert.match(usage, /REPOSITORY POLICY SNAPSHOT IDENTITY SIGNER OUT/);
      assert.match(positional[0] ?? "", /^(s3:\/\/|\/)/);
      assert.deepEqual(positional.slice(2), ["latest", "recovery-identity.txt", "$SIGNER", "./restored"]);
    });

    test("what the shell is given is a script", async () => {
      const { execFileSync } = await import("node:child_process");
      execFileSync("bash", ["-n"], { input: commandsIn(await make()).join("\n") });
    });
  });

describe("the runbook", () => {
  test("every step of a guided restore appears, in order, with what it expects", () => {
    const text = documentAsMarkdown(runbook(GENERAL));
    const places = STEPS.flatMap(({ id, title, expected, otherwise, number }) =>
      number === 0
        ? [text.indexOf(expected)]
        : [text.indexOf(`Step ${number}, ${id}: ${title}. Expected: ${expected}. If not: ${otherwise}.`)],
    );
    assert.ok(!places.includes(-1), `${places}`);
    assert.deepEqual(
      places,
      places.toSorted((a, b) => a - b),
    );
  });

  test("the blocks are in the order in which they are done, each with all it needs", () => {
    const blocks = runbook(GENERAL).sections.filter(({ title }) => /^\d+\. /.test(title));
    assert.deepEqual(
      blocks.map(({ title }) => title.replace(/^\d+\. /, "")),
      [
        ...["Fence the old machine", "A new machine", "DNS", "Bootstrap", "The gate", "Restore"],
        ...["Certificates and the web server", "Federation tester", "Slack", "Clients"],
        ...["Remove the gate, and the old data", "Run a backup"],
      ],
    );
    for (const { title, pieces } of blocks) {
      const rows = pieces.flatMap((piece) => (piece.kind === "facts" ? piece.rows : []));
      for (const wanted of ["expected", "if not", "time", "point of no return"])
        assert.ok(rows.find(([name]) => name === wanted)?.[1], `${title}: ${wanted}`);
    }
  });

  test("page one says where one is, what one must hold, and what not to do", () => {
    const titles = runbook(GENERAL)
      .sections.slice(0, 4)
      .map(({ title }) => title);
    assert.deepEqual(titles, [
      ...["Am I in the right place?", "What you need", "First, prevent more damage", "Set up"],
    ]);
  });

  test("that of a policy names its units, sources, databases and checklist, and no capital places for them", async () => {
    const facts = await ofPolicy("ops-jrz1");
    const text = documentAsText(runbook(facts));
    for (const words of [...facts.units, ...facts.sources.map(({ name }) => name), ...facts.checklist])
      assert.ok(text.replaceAll(/\s+/g, " ").includes(words), words);
    assert.doesNotMatch(text, /DATABASE-SOURCE|ROCKSDB-SOURCE|(HOMESERVER|BRIDGE)\.service/);
    assert.match(text, /ALTER DATABASE "mautrix_slack" RENAME/);
  });

  test("of a policy without a bridge it leaves out what is about one", () => {
    const text = documentAsText(
      runbook({ ...GENERAL, hasBridge: false, bootstrap: [], units: ["web.service"] }),
    );
    assert.doesNotMatch(text, /Federation tester\n|^\d+\. (Slack|Clients|Bootstrap|Certificates)/m);
    assert.match(text, /^5\. Restore$/m);
  });

  test("a page loads nothing, and foreign words are words", () => {
    const evil = `<script src="https://elsewhere.example/x.js">'&"`;
    const page = documentAsPage(runbook({ ...GENERAL, checklist: [evil], oldHost: evil }));
    assert.ok(
      !page.includes("<script") &&
        page.includes("&lt;script src=&quot;https://elsewhere.example/x.js&quot;&gt;&#39;&amp;&quot;"),
    );
    assert.doesNotMatch(page, /<(link|img|iframe|object)|\s(src|href|on\w+)=["']|url\(|@import/i);
  });
});

test("an address as it is typed is read back as the same store", async () => {
  const s3 = { bucket: "bucket", prefix: "a/b", region: "eu-1", path_style: true };
  for (const store of [
    { directory: "/srv/backups" },
    { s3 },
    {
      s3: {
        ...s3,
        endpoint: "https://s3.example.org:8443/path",
        path_style: false,
        ca_file: "/etc/ssl/my ca&b.pem",
      },
    },
  ])
    assert.deepEqual(parseStoreUrl(typedStoreUrl(store)), store);
});

/** Commands without what explains them; continued lines are one. */
function commandsIn({ sections }: PaperDocument): string[] {
  const lines = sections.flatMap(({ pieces }) =>
    pieces.flatMap((piece) => (piece.kind === "commands" ? piece.lines : [])),
  );
  return lines
    .join("\n")
    .replaceAll(/ {2,}# .*$/gm, "")
    .replaceAll(/ \\\n */g, " ")
    .split("\n");
}

/** A line as a shell splits it, without expansion. */
function words(line: string): string[] {
  return (line.match(/(?:'[^']*'|"[^"]*"|\\.|[^\s'"\\])+/g) ?? []).map((word) =>
    word.replaceAll(/["']/g, ""),
  );
}

/** What the command line has against it; undefined when it takes it. */
async function usageProblem(args: readonly string[]): Promise<string | undefined> {
  const stream = () => Object.assign(new PassThrough(), { isTTY: false });
  const [stdout, stderr] = [stream(), stream()];
  const screen = new Screen({ stdout, stderr, json: false, quiet: true, color: false, clock: () => 0 });
  const { signal } = new AbortController();
  const context = { env: {}, now: () => new Date(0), version: "1.2.3", reporter: screen };
  try {
    await run(args, { screen, signal, context, app: async () => fakeApp().module });
    return undefined;
  } catch (error) {
    return fail(error, screen, signal) === 2 ? String(stderr.read()) : undefined;
  }
}
