import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { EXITS } from "../src/cli/exits.ts";
import { GENERAL_HINTS } from "../src/cli/hints.ts";
import { codeIn, commandLinesIn, strangersIn } from "./support/named-commands.ts";

// What the documents, the help and the hints tell people to type is there to be typed.
const root = new URL("../", import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), "utf8");
const documents = [
  "README.md",
  "RECOVERY.md",
  "CHANGELOG.md",
  ...globSync("docs/*.md", { cwd: root.pathname }),
];

test("the reader of command lines sees what is wrong", () => {
  const text = [
    "drops bakcup --reread",
    "sudo drops backup --fast && drops policy chekc",
    "drops restore --date latest \\\n   --two DIR  # --three",
    "x | /usr/bin/drops status --json | jq --raw-output .state",
    "drops --policy x snapshots; drops policy check FILE",
    "drops",
    "drops COMMAND --help",
  ].join("\n");
  assert.deepEqual(commandLinesIn(text).flatMap(strangersIn), [
    "no command drops bakcup",
    "drops backup has no --fast",
    "no command drops policy chekc",
    "drops restore has no --two",
  ]);
  assert.deepEqual(codeIn("a `drops x` b\n```\ndrops y\n```\nc"), ["drops y\n", "drops x"]);
});

for (const document of documents) {
  test(`${document} names only commands and options that there are`, () => {
    const found = codeIn(read(document)).flatMap(commandLinesIn).flatMap(strangersIn);
    assert.deepEqual(found, []);
  });
}

test("the documents were read", () => {
  const lines = documents.flatMap((document) => codeIn(read(document)).flatMap(commandLinesIn));
  assert.ok(lines.length > 80, `${lines.length} command lines`);
});

test("help names only commands and options that there are", () => {
  const found = commandLinesIn(read("test/golden/help.txt").replaceAll(/^(\$|Usage:) .*/gm, ""));
  assert.ok(found.length > 30);
  assert.deepEqual(found.flatMap(strangersIn), []);
});

test("hints name only commands and options that there are", () => {
  const hints = globSync("src/**/*.ts", { cwd: root.pathname }).flatMap((file) =>
    [...read(file).matchAll(/\b(?:hint|HINT)\b[^"`\n]*\n?\s*["`]([^"`]*)["`]/g)].map(([, hint = ""]) => hint),
  );
  assert.ok(hints.length > 100, `${hints.length} hints`);
  const commands = [...hints, ...Object.values(GENERAL_HINTS)]
    .flatMap((hint) => hint.split(/ {2}|, | or /))
    .flatMap((part) => commandLinesIn(part));
  assert.deepEqual(commands.flatMap(strangersIn), []);
});

test("README tells the exit codes that there are", () => {
  const told = [...read("README.md").matchAll(/^\| (\d+) \| (.+) \|$/gm)].map(([, code, words]) => [
    code,
    words,
  ]);
  assert.deepEqual(
    told.map(([code]) => code),
    Object.keys(EXITS),
  );
});
