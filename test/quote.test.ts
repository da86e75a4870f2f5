import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import fc from "fast-check";
import { killArgv, PidLine, quote, shellLine } from "../src/host/quote.ts";

const argument = fc
  .oneof(
    fc.string({ unit: "binary", maxLength: 60 }),
    fc.string({
      unit: fc.constantFrom(
        "'",
        '"',
        "\\",
        "$",
        "`",
        "\n",
        " ",
        "!",
        "~",
        "*",
        "-",
        "=",
        "#",
        "\t",
        "\r",
        "a",
      ),
    }),
  )
  .filter((text) => !text.includes("\0"));

test("a shell reads back exactly the words that were quoted", () => {
  fc.assert(
    fc.property(fc.array(argument, { maxLength: 8 }), (words) => {
      const line = ["printf", "%s\\0", "begin", ...words].map(quote).join(" ");
      const printed = execFileSync("sh", ["-c", line], { encoding: "utf8" });
      assert.deepEqual(printed.split("\0").slice(1, -1), words);
    }),
    { numRuns: 200 },
  );
});

test("a NUL is refused: no argument can hold one", () => {
  assert.throws(() => quote("a\0b"), RangeError);
});

test("the line for the login shell works without any PATH, in /, and says the command's process id", () => {
  const printed = execFileSync(
    "/bin/sh",
    ["-c", `{ ${shellLine(["sh", "-c", "echo $$ $PWD $PATH"])}; } 2>&1`],
    {
      env: {},
      encoding: "utf8",
    },
  );
  const rest = /^drops-command-pid (\d+)\n(\d+) \/ (\S+)\n$/.exec(printed);
  assert.ok(rest !== null, printed);
  assert.equal(rest[1], rest[2]);
  assert.match(rest[3] ?? "", /:\/run\/current-system\/sw\/bin:|^\/run\/current-system\/sw\/bin:/);
});

test("the PATH that is there comes first", () => {
  const printed = execFileSync("/bin/sh", ["-c", shellLine(["sh", "-c", "echo $PATH"])], {
    env: { PATH: "/one:/usr/bin:/bin" },
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
  assert.match(printed, /^\/one:\/usr\/bin:\/bin:\/run\//);
});

const lines: readonly { name: string; pieces: string[]; rest: string; pid: number | undefined }[] = [
  { name: "at once", pieces: ["drops-command-pid 12\nrest"], rest: "rest", pid: 12 },
  { name: "in pieces", pieces: ["drops-comm", "and-pid 1", "2", "\nre", "st"], rest: "rest", pid: 12 },
  {
    name: "after what a start-up file said",
    pieces: ["hello\n", "drops-command-pid 7\n"],
    rest: "hello\n",
    pid: 7,
  },
  { name: "never", pieces: ["x".repeat(5000), "yz"], rest: `${"x".repeat(5000)}yz`, pid: undefined },
];
for (const row of lines) {
  test(`the process id line comes ${row.name}`, () => {
    const line = new PidLine();
    const rest = row.pieces.map((piece) => line.rest(Buffer.from(piece)).toString()).join("");
    assert.deepEqual([rest, line.pid], [row.rest, row.pid]);
  });
}

test("a command is signalled with its group, or alone when it heads none", () => {
  assert.deepEqual(killArgv("TERM", 5).slice(-2), ["TERM", "5"]);
});
