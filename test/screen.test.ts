import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { stripVTControlCharacters } from "node:util";
import fc from "fast-check";
import { type LogFormat, logFormatOf } from "../src/cli/log-lines.ts";
import { Screen } from "../src/cli/screen.ts";
import { table } from "../src/cli/words/format.ts";
import { clean, cleanBlock } from "../src/lib/clean.ts";
import { inBytes } from "../src/lib/units.ts";
import { counted, duration } from "../src/lib/words.ts";

const MiB = 1024 * 1024;

function screenWith(
  how: { terminal?: boolean; quiet?: boolean; json?: boolean; logFormat?: LogFormat } = {},
) {
  const stdout = Object.assign(new PassThrough(), { isTTY: false });
  const stderr = Object.assign(new PassThrough(), { isTTY: how.terminal === true, columns: 100 });
  const time = { ms: 0 };
  const screen = new Screen({
    stdout,
    stderr,
    json: how.json === true,
    quiet: how.quiet === true,
    color: true,
    clock: () => time.ms,
    now: () => new Date(Date.UTC(2026, 10, 20, 1, 30) + time.ms),
    ...(how.logFormat && { logFormat: how.logFormat }),
  });
  const told = () => String(stderr.read() ?? "");
  const answered = () => String(stdout.read() ?? "");
  return { screen, time, told, answered };
}

test("without a terminal progress is a line every ten seconds and one at the end", () => {
  const { screen, time, told } = screenWith();
  const step = screen.progress("media");
  for (time.ms = 0; time.ms <= 25_000; time.ms += 100) step.update((time.ms / 100) * MiB, 1000 * MiB);
  step.done();
  step.done();
  step.update(5);
  assert.deepEqual(told().split("\n"), [
    "media: 100.0 MiB of 1000.0 MiB (10 %), 10.0 MiB/s, 1:30 left",
    "media: 200.0 MiB of 1000.0 MiB (20 %), 10.0 MiB/s, 1:20 left",
    "media: 250.0 MiB in 0:25",
    "",
  ]);
});

test("a step that is short is one line; files and objects are counted, notes are cleaned", () => {
  const { screen, time, told } = screenWith();
  const step = screen.progress("listing\u001b[2J", "files");
  time.ms = 11_000;
  step.update(300_000, undefined, "in /var\n");
  step.done();
  assert.deepEqual(told().split("\n"), [
    "listing\\x1b[2J: 300,000 files, 27,273 files/s (in /var\\n)",
    "listing\\x1b[2J: 300,000 files in 0:11",
    "",
  ]);
});

test("--quiet shows neither remarks nor progress, but failures", () => {
  const { screen, told } = screenWith({ quiet: true });
  screen.say("hello");
  const step = screen.progress("media");
  step.update(1);
  step.done();
  screen.complain("drops: no");
  assert.equal(told(), "drops: no\n");
});

test("on a terminal bars show amount, rate and time left, and go away before the last words", async (t) => {
  const { screen, time, told } = screenWith({ terminal: true });
  t.after(() => screen.complain("over")); // bars that stay would keep the process
  const media = screen.progress("media");
  const database = screen.progress("homeserver-db");
  time.ms = 2000;
  media.update(50 * MiB, 100 * MiB);
  database.update(2048, undefined, "attempt 1");
  screen.say("a remark");
  screen.say(`long${"g".repeat(115)}`);
  await sleep(500); // bars are drawn five times a second
  const drawn = stripVTControlCharacters(told());
  assert.match(drawn, /█+░+ media: 50\.0 MiB of 100\.0 MiB \(50 %\), 25\.0 MiB\/s, 0:02 left/);
  assert.match(drawn, /homeserver-db: 2 KiB, 1 KiB\/s \(attempt 1\)/);
  assert.match(drawn, /^a remark$/m);
  assert.match(drawn, /long{97}\ng{19}\n/, "the terminal does not fold lines while there are bars");
  media.done();
  database.done();
  const ended = stripVTControlCharacters(told());
  assert.match(ended, /^media: 50\.0 MiB in 0:02$/m);
  assert.match(ended, /^homeserver-db: 2 KiB in 0:02$/m);
  screen.complain("the end");
  await sleep(400);
  assert.equal(stripVTControlCharacters(told()), "the end\n");
});

test("a long result streams as lines, or as one JSON value", async () => {
  const items = async function* (amount: number) {
    for (let index = 0; index < amount; index++) yield { path: `file ${index}` };
  };
  for (const amount of [0, 1, 20_000]) {
    const { screen, answered } = screenWith({ json: true });
    const chunks: string[] = [];
    const collecting = setInterval(() => chunks.push(answered()), 1);
    await screen.stream({ snapshot: "x" }, "entries", items(amount), ({ path }) => path);
    clearInterval(collecting);
    const value = JSON.parse(chunks.join("") + answered());
    assert.equal(value.snapshot, "x");
    assert.deepEqual([value.entries.length, value.entries[0]?.path], [amount, amount ? "file 0" : undefined]);
  }
  const { screen, answered } = screenWith();
  await screen.stream({}, "entries", items(2), ({ path }) => `${path}\u001b[2J`);
  assert.equal(answered(), "file 0\\x1b[2J\nfile 1\\x1b[2J\n");
});

test("cleaned text holds nothing that a terminal obeys, and plain text is untouched", () => {
  assert.equal(
    clean("a\tb\r\n\u009b1m\u202e\u{e0041}\ud800é日本"),
    "a\\tb\\r\\n\\x9b1m\\u202e\\u{e0041}\\ud800é日本",
  );
  assert.equal(
    cleanBlock("a\nb\u001b[1mc\u001b[22m\u001b[2J\u001b]0;t\u0007"),
    "a\nb\u001b[1mc\u001b[22m\\x1b[2J\\x1b]0;t\\x07",
  );
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      assert.doesNotMatch(clean(text), /[\p{Cc}\p{Cs}\p{Cf}\u2028\u2029]/u);
      assert.equal(clean(clean(text)), clean(text));
    }),
  );
  fc.assert(fc.property(fc.string({ unit: "grapheme-ascii" }), (text) => assert.equal(clean(text), text)));
});

const sizes: readonly (readonly [number, string])[] = [
  [0, "0 B"],
  [999, "999 B"],
  [1000, "1.0 KiB"],
  [1536, "1.5 KiB"],
  [102_349, "100 KiB"],
  [1024 ** 2 - 1, "1.0 MiB"],
  [2 ** 40, "1.0 TiB"],
  [2 ** 62, "4096 PiB"],
];
for (const [bytes, words] of sizes)
  test(`${bytes} bytes are ${words}`, () => assert.equal(inBytes(bytes), words));

const durations: readonly (readonly [number, string])[] = [
  [0, "0.00 s"],
  [0.421, "0.42 s"],
  [1, "1.0 s"],
  [59.4, "59 s"],
  [59.6, "1 min"],
  [185, "3 min 5 s"],
  [7800, "2 h 10 min"],
  [86_400, "1 d"],
  [270_000, "3 d 3 h"],
];
for (const [seconds, words] of durations) {
  test(`${seconds} seconds are ${words}`, () => assert.equal(duration(seconds), words));
}

test("counts and tables", () => {
  assert.deepEqual(
    [counted(1, "file"), counted(0, "file"), counted(12_345, "entry", "entries")],
    ["1 file", "0 files", "12,345 entries"],
  );
  const shown = table(
    ["name", "size"],
    [
      ["日本", "1"],
      ["b\u001b[2J", "22"],
    ],
    { right: ["size"] },
  );
  assert.equal(shown, "name      size\n日本         1\nb\\x1b[2J    22");
});

const formats: readonly [format: LogFormat, lines: readonly string[]][] = [
  [
    "text",
    [
      "hello\\x1b[2J",
      "phone could not be told",
      "drops: no such file",
      "hint: look",
      "media: 1 files in 0:00",
    ],
  ],
  [
    "journald",
    [
      "<6>hello\\x1b[2J",
      "<4>phone could not be told",
      "<3>drops: no such file",
      "<3>hint: look",
      "<6>media: 1 files in 0:00",
    ],
  ],
  [
    "json",
    [
      '{"time":"2026-11-20T01:30:00.000Z","level":"info","message":"hello\\\\x1b[2J"}',
      '{"time":"2026-11-20T01:30:00.000Z","level":"warning","message":"phone could not be told"}',
      '{"time":"2026-11-20T01:30:00.000Z","level":"err","message":"drops: no such file\\nhint: look"}',
      '{"time":"2026-11-20T01:30:00.000Z","level":"info","message":"media: 1 files in 0:00"}',
    ],
  ],
];
for (const [logFormat, lines] of formats) {
  test(`--log-format ${logFormat}`, () => {
    const { screen, told } = screenWith({ logFormat, terminal: logFormat !== "text" });
    screen.say("hello\u001b[2J");
    screen.warn("phone could not be told");
    screen.complain("drops: no such file\nhint: look");
    const step = screen.progress("media", "files");
    step.update(1);
    step.done();
    assert.deepEqual(told().split("\n"), [...lines, ""]);
  });
}

test("the log format: the last one that is asked for, the journal's own when it listens, else text", () => {
  const journal = { env: "8:1234", stream: "8:1234" };
  const other = { env: "8:1234", stream: "8:99" };
  assert.equal(logFormatOf(["backup"], { env: undefined, stream: "8:1" }), "text");
  assert.equal(logFormatOf(["backup"], other), "text");
  assert.equal(logFormatOf(["backup"], journal), "journald");
  assert.equal(logFormatOf(["--log-format", "text", "backup"], journal), "text");
  assert.equal(logFormatOf(["--log-format=text", "backup", "--log-format", "json"], journal), "json");
  assert.throws(() => logFormatOf(["--log-format", "xml"], journal), { code: "usage/invalid" });
  assert.throws(() => logFormatOf(["--log-format"], journal), { code: "usage/invalid" });
});

test("what was said last is kept for alerts: cleaned, bounded, with --quiet too, and warnings are always seen", () => {
  const { screen, told } = screenWith({ quiet: true });
  for (let n = 0; n < 500; n++) screen.say(`line ${n}\u001b`);
  screen.warn("phone could not be told");
  assert.equal(told(), "phone could not be told\n");
  assert.equal(screen.recent.length, 200);
  assert.deepEqual(screen.recent.slice(-2), ["line 499\\x1b", "phone could not be told"]);
});
