import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import { Ajv } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import type * as z from "zod";
import { EXITS } from "../src/cli/exits.ts";
import { fail } from "../src/cli/fail.ts";
import { OUTPUTS } from "../src/cli/outputs.ts";
import { run } from "../src/cli/program.ts";
import { Screen } from "../src/cli/screen.ts";
import type { Prompt } from "../src/lib/context.ts";
import { DropsError, FAILURE_CODES } from "../src/lib/errors.ts";
import { parsePolicy } from "../src/policy/load.ts";
import { Policy } from "../src/policy/schema.ts";
import { everyCommand } from "./support/every-command.ts";
import { type FakeApp, fakeApp } from "./support/fake-app.ts";

interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  readonly exit: number;
  readonly calls: readonly string[];
}

/** Run a command line against an app that answers with samples. */
async function drops(
  line: string | readonly string[],
  how: { readonly app?: FakeApp; readonly terminal?: boolean; readonly prompt?: Prompt } = {},
): Promise<Outcome> {
  const args = typeof line === "string" ? line.split(" ").filter((word) => word !== "") : line;
  const app = how.app ?? fakeApp();
  const stdout = Object.assign(new PassThrough(), { isTTY: how.terminal === true });
  const stderr = Object.assign(new PassThrough(), { isTTY: false });
  const [json, quiet] = [args.includes("--json"), args.includes("--quiet")];
  const screen = new Screen({ stdout, stderr, json, quiet, color: true, clock: () => 0 });
  const { signal } = new AbortController();
  const context = { env: {}, now: () => new Date(0), version: "1.2.3", reporter: screen };
  let exit = 0;
  try {
    await run(args, { screen, signal, context, app: async () => app.module, prompt: how.prompt });
  } catch (error) {
    exit = fail(error, screen, signal);
  }
  const read = (stream: PassThrough) => String(stream.read() ?? "");
  return { stdout: read(stdout), stderr: read(stderr), exit, calls: app.calls };
}

const READER = { store: undefined, identities: [], trustedSigners: [], trustUnsigned: false };
const reader = (access: object = {}) => `openReader ${JSON.stringify({ ...READER, ...access })}`;

const guided = ({ policy, ...access }: { readonly policy?: string; readonly [more: string]: unknown } = {}) =>
  `openGuided ${JSON.stringify({ policy, ...READER, ...access })}`;
const GUIDED = {
  choice: undefined as object | undefined,
  only: [],
  steps: [],
  dryRun: false,
  fenced: false,
  yes: false,
};

const lines: readonly { line: string; calls: readonly string[]; exit?: number }[] = [
  { line: "init", calls: ["openApp {}", "init {}", "closed"] },
  { line: "init --policy a.yaml", calls: ['openApp {"policy":"a.yaml"}', "init {}", "closed"] },
  { line: "--policy a.yaml init", calls: ['openApp {"policy":"a.yaml"}', "init {}", "closed"] },
  { line: "keygen --to /k", calls: ['makeKeys {"to":"/k"}'] },
  {
    line: "keygen --recovery --policy a.yaml --identity i --to /k",
    calls: ['makeSheet {"to":"/k","identity":"i","policy":"a.yaml"}'],
  },
  {
    line: "runbook --html --out f --policy a.yaml",
    calls: [
      `makeRunbook ${JSON.stringify({ access: { policy: "a.yaml", ...READER }, general: false, form: "html", out: "f" })}`,
    ],
  },
  { line: "backup", calls: ["openApp {}", 'backup {"reread":false,"sources":[]}', "closed"], exit: 3 },
  {
    line: "backup --reread --source a --source b",
    calls: ["openApp {}", 'backup {"reread":true,"sources":["a","b"]}', "closed"],
    exit: 3,
  },
  { line: "snapshots", calls: [reader(), "snapshots {}", "closed"] },
  {
    line: "snapshots --store s3://b/p --identity i --identity j --trusted-signer k --trust-unsigned",
    calls: [
      reader({ store: "s3://b/p", identities: ["i", "j"], trustedSigners: ["k"], trustUnsigned: true }),
      "snapshots {}",
      "closed",
    ],
  },
  { line: "keys", calls: [reader(), "keys {}", "closed"] },
  {
    line: "keys --store /s --trusted-signer k",
    calls: [reader({ store: "/s", trustedSigners: ["k"] }), "keys {}", "closed"],
  },
  { line: "status", calls: [reader(), "status {}", "closed"], exit: 21 },
  {
    line: "status --store /s --trusted-signer k --prometheus a.prom --html b.html",
    calls: [
      reader({ store: "/s", trustedSigners: ["k"] }),
      'status {"prometheus":"a.prom","html":"b.html"}',
      "closed",
    ],
    exit: 21,
  },
  { line: "doctor", calls: ["openApp {}", 'doctor {"only":[]}', "closed"], exit: 21 },
  {
    line: "doctor --policy p --identity i --only store --only keys",
    calls: ['openApp {"policy":"p"}', 'doctor {"identity":"i","only":["store","keys"]}', "closed"],
    exit: 21,
  },
  { line: "show latest", calls: [reader(), 'show {"choice":{"date":"latest"}}', "closed"] },
  { line: "ls yesterday", calls: [reader(), 'ls {"choice":{"date":"yesterday"}}', "closed"] },
  { line: "ls abc media", calls: [reader(), 'ls {"choice":{"date":"abc"},"source":"media"}', "closed"] },
  {
    line: "export media a --date 2026-11-20",
    calls: [reader(), 'export {"source":"media","path":"a","choice":{"date":"2026-11-20"}}', "closed"],
  },
  {
    line: "export media --snapshot abcdef",
    calls: [reader(), 'export {"source":"media","choice":{"id":"abcdef"}}', "closed"],
  },
  {
    line: "restore --date latest --to /r --only a --only b",
    calls: [
      reader(),
      'restore {"choice":{"date":"latest"},"only":["a","b"],"to":"/r","bestEffort":false}',
      "closed",
    ],
    exit: 20,
  },
  {
    line: "restore --date latest --to /r --best-effort",
    calls: [reader(), 'restore {"choice":{"date":"latest"},"only":[],"to":"/r","bestEffort":true}', "closed"],
    exit: 20,
  },
  {
    line: "restore --date 2026-11-20 --host root@new:2222 --ssh-key k --only a --steps stop,4 --steps start --yes --fenced",
    calls: [
      guided({ host: "root@new:2222", sshKey: "k" }),
      `guided restore ${JSON.stringify({ ...GUIDED, choice: { date: "2026-11-20" }, only: ["a"], steps: ["stop", "rocksdb", "start"], fenced: true, yes: true })}`,
      "closed",
    ],
  },
  {
    line: "restore --snapshot abcdef --dry-run --store /s --identity i",
    calls: [
      guided({ store: "/s", identities: ["i"] }),
      `guided restore ${JSON.stringify({ ...GUIDED, choice: { id: "abcdef" }, dryRun: true })}`,
      "closed",
    ],
  },
  {
    line: "restore --resume --policy p",
    calls: [
      guided({ policy: "p" }),
      `guided restore ${JSON.stringify({ ...GUIDED, resume: true })}`,
      "closed",
    ],
  },
  {
    line: "restore --resume 20261124T003638-a1b2c3 --steps 9 --fenced",
    calls: [
      guided(),
      `guided restore ${JSON.stringify({ ...GUIDED, steps: ["messages"], fenced: true, resume: "20261124T003638-a1b2c3" })}`,
      "closed",
    ],
  },
  { line: "restore --finish --yes", calls: [guided(), 'finish {"yes":true}', "closed"] },
  { line: "restore --finish R", calls: [guided(), 'finish {"run":"R","yes":false}', "closed"] },
  {
    line: "restore --date latest --only bootstrap --to extra",
    calls: [guided(), 'bootstrap {"choice":{"date":"latest"},"to":"extra"}', "closed"],
  },
  {
    line: "rollback --run R --host h --yes",
    calls: [guided({ host: "h" }), 'rollback {"run":"R","yes":true}', "closed"],
    exit: 12,
  },
  {
    line: "verify",
    calls: [
      reader(),
      'verify {"independent":false,"objects":false,"sources":false,"publish":false,"routine":false}',
      "closed",
    ],
    exit: 20,
  },
  {
    line: "verify latest --read-data 5% --sources",
    calls: [
      reader(),
      'verify {"choice":{"date":"latest"},"readShare":0.05,"independent":false,"objects":false,"sources":true,"publish":false,"routine":false}',
      "closed",
    ],
    exit: 20,
  },
  { line: "plan", calls: ["openRetention {}", 'plan {"tried":{}}', "closed"] },
  {
    line: "plan --policy a.yaml --at 2027-06-30 --rules independent --daily 14 --last 3",
    calls: [
      'openRetention {"policy":"a.yaml"}',
      'plan {"at":"2027-06-30","tried":{"rules":"independent","last":3,"daily":14}}',
      "closed",
    ],
  },
  { line: "keeper", calls: ["openRetention {}", 'keeper {"dryRun":false}', "closed"] },
  { line: "keeper --dry-run", calls: ["openRetention {}", 'keeper {"dryRun":true}', "closed"] },
  { line: "prune --yes", calls: ["openRetention {}", "prune {}", "closed"] },
  { line: "prune --yes --accept 12", calls: ["openRetention {}", 'prune {"accept":12}', "closed"] },
  {
    line: "prune --dry-run --accept 2",
    calls: ["openRetention {}", 'plan {"accept":2}', "closed"],
    exit: 22,
  },
  {
    line: "pin 2026-11-20 --until 2027-03-31 --why migration",
    calls: [
      "openRetention {}",
      'pin {"snapshot":"2026-11-20","until":"2027-03-31","why":"migration"}',
      "closed",
    ],
  },
  { line: "unpin abcdef", calls: ["openRetention {}", 'unpin {"snapshot":"abcdef"}', "closed"] },
  {
    line: "withdraw abcdef --why wrong",
    calls: ["openRetention {}", 'withdraw {"snapshot":"abcdef","why":"wrong"}', "closed"],
  },
  {
    line: "drill",
    calls: [
      reader(),
      'drill {"only":[],"user":"nobody","keep":false,"publish":false,"runCommands":false,"requireLibrary":false,"choice":{"date":"latest"}}',
      "closed",
    ],
    exit: 21,
  },
  {
    line: "verify --routine --read-data 3/20 --signing-key k",
    calls: [
      reader(),
      'verify {"readPart":{"part":3,"of":20},"independent":false,"objects":false,"sources":false,"publish":false,"signingKey":"k","routine":true}',
      "closed",
    ],
    exit: 20,
  },
  {
    line: "verify --read-data --independent",
    calls: [
      reader(),
      'verify {"readShare":1,"independent":true,"objects":false,"sources":false,"publish":false,"routine":false}',
      "closed",
    ],
    exit: 20,
  },
  {
    line: "verify --read-data",
    calls: [
      reader(),
      'verify {"readShare":1,"independent":false,"objects":false,"sources":false,"publish":false,"routine":false}',
      "closed",
    ],
    exit: 20,
  },
];
for (const row of lines) {
  test(`drops ${row.line} asks the app, and closes it`, async () => {
    const { calls, exit, stderr } = await drops(row.line);
    assert.deepEqual(calls, row.calls);
    assert.equal(exit, row.exit ?? 0, stderr);
  });
}

const refused: readonly { line: string; says: string; hint: string }[] = [
  { line: "", says: "no command given", hint: "drops --help" },
  {
    line: "bakcup --help",
    says: "unknown command 'bakcup' (Did you mean backup?)",
    hint: "drops --help",
  },
  { line: "--policy x -h zzz", says: "unknown command 'zzz'", hint: "drops --help" },
  { line: "bakcup", says: "unknown command 'bakcup' (Did you mean backup?)", hint: "drops --help" },
  {
    line: "backup --rered",
    says: "unknown option '--rered' (Did you mean --reread?)",
    hint: "drops backup --help",
  },
  {
    line: "backup extra",
    says: "too many arguments for 'backup'. Expected 0 arguments but got 1.",
    hint: "drops backup --help",
  },
  {
    line: "verify --independent",
    says: "--independent needs --read-data",
    hint: "drops verify --read-data 5% --independent --identity FILE",
  },
  { line: "keygen", says: "required option '--to <dir>' not specified", hint: "drops keygen --help" },
  {
    line: "restore --to /r",
    says: "no snapshot given",
    hint: "use --date 2026-11-20, --date latest, or --snapshot ID (drops snapshots lists them)",
  },
  {
    line: "restore --to /r --date a --snapshot b",
    says: "option '--date <words>' cannot be used with option '--snapshot <id>'",
    hint: "drops restore --help",
  },
  {
    line: "restore --date latest --best-effort",
    says: "--best-effort needs --to: drops never restores damaged data onto a machine",
    hint: "drops restore --date latest --best-effort --to DIR, then copy the whole files by hand",
  },
  {
    line: "restore --date latest --only bootstrap --to extra --best-effort",
    says: "--best-effort needs --to: drops never restores damaged data onto a machine",
    hint: "drops restore --date latest --best-effort --to DIR, then copy the whole files by hand",
  },
  {
    line: "restore --host h",
    says: "no snapshot given",
    hint: "use --date 2026-11-20, --date latest, or --snapshot ID (drops snapshots lists them)",
  },
  {
    line: "restore --date latest --steps stop,reboot",
    says: '"reboot" is not a step of a restore',
    hint: "1 fence, 2 preflight, 3 stop, 4 rocksdb, 5 postgres, 6 files, 7 start, 8 login, 9 messages",
  },
  ...(
    [
      ["--date latest --to /r --host h", "--to", "--host"],
      ["--date latest --to /r --dry-run", "--to", "--dry-run"],
      ["--resume --date latest", "--resume", "--date"],
      ["--resume --finish", "--resume", "--finish"],
      ["--finish --dry-run", "--finish", "--dry-run"],
    ] as const
  ).map(([line, one, other]) => ({
    line: `restore ${line}`,
    says: `${one} cannot be used with ${other}`,
    hint: "drops restore --help",
  })),
  ...["--only bootstrap", "--only bootstrap --only media --to /e"].map((line) => ({
    line: `restore --date latest ${line}`,
    says: "--only bootstrap needs --to, and no other source",
    hint: "drops restore --date latest --only bootstrap --to extra/",
  })),
  {
    line: "verify --read-data=7",
    says: '"7" is not a share',
    hint: "--read-data, --read-data 5%, --read-data 3/20",
  },
  {
    line: "verify --read-data=0/20",
    says: '"0/20" is not a share',
    hint: "--read-data, --read-data 5%, --read-data 3/20",
  },
  {
    line: "verify --read-data=x%",
    says: '"x%" is not a share',
    hint: "--read-data, --read-data 5%, --read-data 3/20",
  },
  {
    line: "drill --on a --checks-from b",
    says: "--on cannot be used with --checks-from",
    hint: "drops drill --help",
  },
  ...["--daily seven", "--daily -1", "--weekly 1.5"].map((line) => ({
    line: `plan ${line}`,
    says: `"${line.split(" ")[1]}" is not a number of snapshots`,
    hint: "a whole number, such as 7",
  })),
  {
    line: "withdraw abcdef",
    says: "required option '--why <words>' not specified",
    hint: "drops withdraw --help",
  },
  { line: "show", says: "missing required argument 'snapshot'", hint: "drops show --help" },
  { line: "policy", says: "no command given", hint: "drops policy --help" },
  {
    line: "export media --date latest --json",
    says: "--json cannot be used where bytes go to standard output",
    hint: "drops --help",
  },
];
for (const row of refused) {
  test(`drops ${row.line} is refused before anything is opened`, async () => {
    const { calls, exit, stderr, stdout } = await drops(row.line);
    assert.deepEqual(calls, []);
    assert.equal(exit, 2);
    assert.equal(stderr, `drops: ${row.says}\nhint: ${row.hint}\n`);
    if (!row.line.includes("--json")) assert.equal(stdout, "");
  });
}

const REPORTS = [
  "init",
  "init --policy ./none.yaml",
  "keygen --to /k",
  "keygen --recovery --to /k",
  "keys",
  "runbook",
  "backup",
  "snapshots",
  "status",
  "doctor",
  "show x",
  "ls x",
  "restore --date x --to /r",
  "restore --date x",
  "restore --date x --dry-run",
  "restore --finish",
  "restore --date x --only bootstrap --to /extra",
  "rollback",
  "verify",
  "drill",
  "plan",
  "plan --at 2026-11-25",
  "prune --dry-run",
  "prune --yes",
  "keeper",
  "pin x --until 2027-03-31",
  "unpin x",
  "withdraw x --why y",
  "notify test",
  "notify failed drops-backup@ops.service",
];
const DEMO = new URL("../policies/demo.yaml", import.meta.url).pathname;
/** ajv knows none by itself; zod checks them with the same regular expressions that the schemas hold. */
const FORMATS = { "date-time": true, uri: true, base64: true } as const;
/** What is answered from a policy's file alone: this one's store is on S3, as `iam` wants it. */
const ON_S3 = new URL("../policies/ops-jrz1.yaml", import.meta.url).pathname;
const OF_A_POLICY = ["policy check", "policy show", "completion fish", "iam writer", "iam lifecycle"];
const ELSEWHERE: Readonly<Record<string, string>> = {
  "policy schema": "prints a schema: below",
  export: "prints bytes, and refuses --json",
  complete: "speaks to shells, in lines",
};
const SCHEMAS: Readonly<Record<string, keyof typeof OUTPUTS>> = {
  "keygen --recovery --to /k": "recovery-sheet",
  "restore --date x": "restore-host",
  "restore --date x --dry-run": "restore-host",
  "prune --dry-run": "plan",
  "init --policy ./none.yaml": "setup",
  "policy check": "policy",
  "policy show": "policy-show",
  "completion fish": "completion",
  "notify test": "notify-test",
  "notify failed drops-backup@ops.service": "notify-failed",
  "restore --finish": "restore-finish",
  "restore --date x --only bootstrap --to /extra": "restore-bootstrap",
};
/** The first policy of a machine is asked for. */
const someone = (line: string) =>
  line.startsWith("init --policy") ? { prompt: { ask: async () => "" } } : {};
for (const line of [...REPORTS, ...OF_A_POLICY]) {
  const name = SCHEMAS[line] ?? ((line.split(" ")[0] ?? "") as keyof typeof OUTPUTS);
  test(`drops ${line} --json prints one value that its schema describes, and nothing else`, async () => {
    const more = OF_A_POLICY.includes(line) ? ` --policy ${ON_S3}` : "";
    const { stdout } = await drops(`${line} --json${more}`, someone(line));
    const schema: z.ZodObject = OUTPUTS[name];
    schema.strict().parse(JSON.parse(stdout));
    const written = new Ajv2020({ strict: false, formats: FORMATS }).compile(
      JSON.parse(readFileSync(new URL(`../schemas/${name}.schema.json`, import.meta.url), "utf8")),
    );
    assert.ok(written(JSON.parse(stdout)), JSON.stringify(written.errors));
  });
}

test("no command prints JSON that no test holds against its schema", () => {
  const told = (words: readonly string[]) =>
    [...REPORTS, ...OF_A_POLICY].some((line) => `${line} `.startsWith(`${words.join(" ")} `));
  const untold = everyCommand().filter(
    ({ words, isGroup }) => !isGroup && !told(words) && !(words.join(" ") in ELSEWHERE),
  );
  assert.deepEqual(
    untold.map(({ words }) => words.join(" ")),
    [],
  );
});

test("every schema is that of some command", () => {
  const names = [...REPORTS, ...OF_A_POLICY].map((line) => SCHEMAS[line] ?? line.split(" ")[0]);
  assert.deepEqual(
    Object.keys(OUTPUTS).filter((name) => !names.includes(name) && name !== "error"),
    [],
  );
});

test("drops policy show --json is the policy, as its schema describes", async () => {
  const { stdout } = await drops(`policy show --json --policy ${DEMO}`);
  const { policy } = JSON.parse(stdout);
  assert.deepEqual(Policy.parse(policy), policy, "every default is filled in");
  const words = await drops(`policy show --policy ${DEMO}`);
  assert.deepEqual(parsePolicy(words.stdout, "shown").policy, policy, "and its words are that policy again");
});

test("drops policy schema is a JSON Schema", async () => {
  const { stdout } = await drops("policy schema");
  const schema = JSON.parse(stdout);
  assert.match(schema.$schema, /draft-07/);
  assert.ok(new Ajv({ strict: false }).validateSchema(schema));
});

test("the words of every result are what they were", async () => {
  const shown: string[] = [];
  for (const line of [...REPORTS, "export media --date x"]) {
    const { stdout, stderr, exit } = await drops(line, someone(line));
    shown.push(`$ drops ${line}\n${stdout}${stderr === "" ? "" : `stderr:\n${stderr}`}exit ${exit}\n`);
  }
  golden("words.txt", shown.join("\n"));
});

test("a prune that nobody can be asked about, and was not told --yes, opens nothing", async () => {
  const { calls, exit, stderr } = await drops("prune");
  assert.deepEqual([calls, exit], [[], 22]);
  assert.match(stderr, /no terminal to ask on\nhint: add --yes/);
});

for (const [answer, exit] of [
  ["yes", 0],
  ["no", 130],
] as const) {
  test(`asked about the plan, a person says ${answer}`, async () => {
    const asked: string[] = [];
    const ask = async (question: string) => {
      asked.push(question);
      return answer;
    };
    const { planned } = await import("./support/sample-retention.ts");
    const app = fakeApp();
    const outcome = await drops("prune", {
      prompt: { ask },
      app: {
        ...app,
        module: {
          ...app.module,
          openRetention: async (...how) => {
            const retention = await app.module.openRetention(...how);
            return { ...retention, plan: async () => ({ ...planned, refusals: [] }) };
          },
        },
      },
    });
    assert.deepEqual(asked, ["forget 1 of 5 snapshots, remove 3 objects? [yes/no] "]);
    assert.equal(outcome.exit, exit);
    assert.match(outcome.stderr, /GOES\s+it is a partial/);
    const done = app.calls.filter((call) => call.startsWith("prune"));
    assert.deepEqual(done, answer === "yes" ? ['prune {"agreed":["00000000000000a4"]}'] : []);
    assert.equal(app.calls.at(-1), "closed");
  });
}

test("nothing of a server's drives the terminal", async () => {
  const { stdout } = await drops("ls x", { terminal: true });
  assert.match(stdout, /a b\/ü\\x1b\]0;x\\x07\.png/);
  const { stdout: words } = await drops("backup", { terminal: true });
  assert.match(words, /we\\x1b\[31mird\\nname/);
  const bold = "\u001b[1msnapshot 5f1e0c3ab2d49788\u001b[22m";
  assert.ok(words.startsWith(`${bold} of ops, \u001b[31mpartial\u001b[39m, `));
  const colourless = await drops("backup");
  assert.equal(colourless.stdout.includes("\u001b"), false);
});

test("raw bytes do not land on a terminal", async () => {
  const { exit, calls, stdout } = await drops("export media --date x", { terminal: true });
  assert.deepEqual([exit, calls, stdout], [2, [], ""]);
  const piped = await drops("export media --date x");
  assert.equal(piped.stdout, "raw bytes");
});

test("a failure is a sentence and a hint; the app is closed all the same", async () => {
  const error = new DropsError("store/refused", "putting a pack: 403\nsecond line\u001b[2J", {
    hint: "drops init",
  });
  const { exit, stderr, stdout, calls } = await drops("backup", { app: fakeApp({ at: "backup", error }) });
  assert.equal(exit, 11);
  assert.equal(stderr, "drops: putting a pack: 403\n  second line\\x1b[2J\nhint: drops init\n");
  assert.equal(stdout, "");
  assert.equal(calls.at(-1), "closed");
});

test("with --json a failure is the one value, unless there is one already", async () => {
  const error = new DropsError("snapshot/missing", "no snapshot x");
  const failed = await drops("show x --json", { app: fakeApp({ at: "show", error }) });
  assert.deepEqual(JSON.parse(failed.stdout), {
    error: { code: "snapshot/missing", message: "no snapshot x", hint: "drops snapshots" },
  });
  assert.equal(failed.exit, 10);
  const usage = await drops("show --json");
  assert.deepEqual(OUTPUTS.error.strict().parse(JSON.parse(usage.stdout)).error.code, "usage/invalid");
  const partial = await drops("backup --json");
  assert.equal(JSON.parse(partial.stdout).snapshot.state, "partial");
  assert.equal(partial.exit, 3);
});

test("what an interruption broke off is told as the interruption, a bug stays a bug", () => {
  const stop = new AbortController();
  const stderr = new PassThrough();
  const screen = new Screen({
    stdout: new PassThrough(),
    stderr,
    json: false,
    quiet: false,
    color: false,
    clock: () => 0,
  });
  const broken = Object.assign(new Error("write EPIPE"), { code: "EPIPE" });
  assert.equal(fail(broken, screen, stop.signal), 1);
  stderr.read();
  stop.abort(new DropsError("interrupted", "interrupted by SIGTERM"));
  assert.equal(fail(broken, screen, stop.signal), 130);
  assert.equal(fail(AbortSignal.abort().reason, screen, stop.signal), 130);
  assert.equal(fail(stop.signal.reason, screen, stop.signal), 130);
  assert.equal(fail(new TypeError("boom"), screen, stop.signal), 1);
  assert.match(String(stderr.read()), /^drops: interrupted by SIGTERM\n/);
});

test("anything unforeseen is a bug, exit 1, with its stack", async () => {
  const { exit, stderr, stdout } = await drops("show x --json", {
    app: fakeApp({ at: "show", error: new TypeError("boom") }),
  });
  assert.equal(exit, 1);
  assert.match(stderr, /^drops: TypeError: boom\n\s+at .*\n[\s\S]*this is a bug: please report/);
  assert.deepEqual(JSON.parse(stdout), { error: { code: "bug", message: "boom" } });
});

for (const code of FAILURE_CODES) {
  test(`${code} says what to do next, though nobody said it where it happened`, async () => {
    const app = fakeApp({ at: "show", error: new DropsError(code, "it failed") });
    const { stderr, exit } = await drops("show x", { app });
    assert.ok(exit in EXITS && exit > 1);
    if (code === "interrupted") assert.equal(stderr, "drops: it failed\n");
    else assert.match(stderr, /^drops: it failed\nhint: \S.+\n$/);
    const better = new DropsError(code, "it failed", { hint: "this" });
    const told = await drops("show x", { app: fakeApp({ at: "show", error: better }) });
    assert.equal(told.stderr, "drops: it failed\nhint: this\n");
  });
}

/** Compare with a frozen file; DROPS_UPDATE_GOLDEN=1 writes it anew, for a reviewed change. */
function golden(name: string, text: string): void {
  const file = new URL(`golden/${name}`, import.meta.url);
  if (process.env["DROPS_UPDATE_GOLDEN"] === "1") writeFileSync(file, text);
  assert.equal(text, readFileSync(file, "utf8"));
}
