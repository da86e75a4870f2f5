import assert from "node:assert/strict";
import { test } from "node:test";
import { registrationProblem } from "../../src/source/appservice/registration.ts";

const GOOD = `id: slack
url: http://127.0.0.1:29335
as_token: SECRET-one
hs_token: SECRET-two
sender_localpart: slackbot
rate_limited: false
namespaces:
  users:
    - regex: "@slack_.*:example.org"
      exclusive: true
  aliases: []
`;

const table: readonly { name: string; path?: string; text: string; problem: string | undefined }[] = [
  { name: "a good one", text: GOOD, problem: undefined },
  { name: "without url", text: GOOD.replace(/url: .*/, "url: null"), problem: undefined },
  { name: "a token missing", text: GOOD.replace("hs_token", "hs_tken"), problem: "is malformed at hs_token" },
  {
    name: "a token that is a number",
    text: GOOD.replace("SECRET-one", "5"),
    problem: "is malformed at as_token",
  },
  {
    name: "a namespace without regex",
    text: GOOD.replace("regex", "regx"),
    problem: "is malformed at namespaces.users.0.regex",
  },
  { name: "no YAML, in its place", text: "as_token: [SECRET", problem: "is no YAML: BAD_INDENT in line 1" },
  { name: "no YAML, anywhere", path: "etc/other.yaml", text: "as_token: [SECRET", problem: undefined },
  {
    name: "told by its tokens, anywhere",
    path: "etc/x.yaml",
    text: "as_token: SECRET",
    problem: "is malformed at id, url",
  },
  { name: "another file", path: "etc/config.yaml", text: "homeserver: x", problem: undefined },
  { name: "a list", path: "etc/config.yaml", text: "- 1", problem: undefined },
  { name: "a list in its place", text: "- 1", problem: "is malformed at the whole" },
  { name: "empty, in its place", text: "", problem: "is malformed at the whole" },
  { name: "nested beyond measure", text: "[".repeat(60_000), problem: "is no YAML: RESOURCE_EXHAUSTION" },
  {
    name: "names without number",
    text: Array.from({ length: 9000 }, (_, at) => `k${at}: 1`).join("\n"),
    problem: "is no YAML: RESOURCE_EXHAUSTION",
  },
  {
    name: "aliases that multiply",
    text: bomb(),
    problem: "cannot be read: it is nested or repeated beyond measure",
  },
];
for (const row of table) {
  test(row.name, () => {
    const path = Buffer.from(row.path ?? "var/lib/appservices/slack.yaml");
    const problem = registrationProblem(path, Buffer.from(row.text));
    if (row.problem === undefined) assert.equal(problem, undefined);
    else assert.ok(problem?.startsWith(row.problem), problem);
    assert.doesNotMatch(problem ?? "", /SECRET/);
  });
}

function bomb(): string {
  const levels = Array.from({ length: 9 }, (_, level) => {
    const below = level === 0 ? "x" : `*a${level - 1}`;
    return `k${level}: &a${level} [${Array.from({ length: 9 }, () => below).join(", ")}]`;
  });
  return levels.join("\n");
}
