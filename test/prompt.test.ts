import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import { terminalPrompt } from "../src/cli/prompt.ts";
import { DropsError, isFailure } from "../src/lib/errors.ts";

function terminal() {
  const input = Object.assign(new PassThrough(), { isTTY: true });
  const output = Object.assign(new PassThrough(), { isTTY: true });
  const prompt = terminalPrompt(input, output);
  assert.ok(prompt);
  return { input, output, prompt };
}

const { signal } = new AbortController();

test("a line is the answer, and questions follow each other", async () => {
  const { input, output, prompt } = terminal();
  for (const [typed, answer] of [
    ["yes\n", "yes"],
    ["  two words \n", "two words"],
    ["\n", ""],
  ] as const) {
    const answered = prompt.ask("go on? ", { signal });
    setImmediate(() => input.write(typed));
    assert.equal(await answered, answer);
  }
  assert.match(String(output.read()), /go on\? /);
});

test("foreign text in a question drives no terminal", async () => {
  const { input, output, prompt } = terminal();
  const answered = prompt.ask("replace \u001b[2Jx? ", { signal });
  setImmediate(() => input.write("no\n"));
  await answered;
  assert.ok(String(output.read()).includes("replace \\x1b[2Jx? "));
});

for (const [name, key] of [
  ["Ctrl-C", "\u0003"],
  ["Ctrl-D", "\u0004"],
] as const) {
  test(`${name} is no answer`, async () => {
    const { input, prompt } = terminal();
    const answered = prompt.ask("go on? ", { signal });
    setTimeout(() => input.write(key), 20);
    await assert.rejects(answered, (error: unknown) => isFailure(error, "interrupted"));
  });
}

test("an interruption ends the question with its reason", async () => {
  const { prompt } = terminal();
  const stop = new AbortController();
  const answered = prompt.ask("go on? ", stop);
  setTimeout(() => stop.abort(new DropsError("host/unreachable", "the lock was lost")), 20);
  await assert.rejects(answered, /the lock was lost/);
});

test("without a terminal on both sides there is nobody to ask", () => {
  const [tty, pipe] = [Object.assign(new PassThrough(), { isTTY: true }), new PassThrough()];
  assert.equal(terminalPrompt(pipe, tty), undefined);
  assert.equal(terminalPrompt(tty, pipe), undefined);
});
