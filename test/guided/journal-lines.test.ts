import assert from "node:assert/strict";
import { test } from "node:test";
import { Journal } from "../../src/guided/journal/journal.ts";
import { JournalCopy } from "../../src/guided/journal/journal-copy.ts";
import { lacking, readLines } from "../../src/guided/journal/journal-lines.ts";
import { openLocalHost } from "../../src/host/local.ts";

const line = (n: number, more: object = {}) =>
  JSON.stringify({ n, at: "2026-11-23T02:30:00.000Z", event: "created", ...more });
const deep = line(1).replace("}", `,"more":${"[".repeat(100_000)}${"]".repeat(100_000)}}`);

const table: readonly { name: string; text: string; ns: readonly number[]; notes: number }[] = [
  { name: "nothing", text: "", ns: [], notes: 0 },
  { name: "lines in the order of their numbers", text: `${line(4)}\n${line(1)}\n`, ns: [1, 4], notes: 0 },
  { name: "the same line twice is once", text: `${line(1)}\n\n${line(1)}\n`, ns: [1], notes: 0 },
  { name: "a last line that was broken off", text: `${line(1)}\n${line(2).slice(0, 20)}`, ns: [1], notes: 1 },
  { name: "a line that is none", text: `nonsense\n${line(2)}\n`, ns: [2], notes: 1 },
  { name: "a line without its fields", text: `{"n":1}\n${line(2)}\n`, ns: [2], notes: 1 },
  { name: "a line nested beyond measure", text: `${deep}\n${line(2)}\n`, ns: [2], notes: 1 },
];
for (const { name, text, ns, notes } of table) {
  test(`a journal: ${name}`, () => {
    const read = readLines(text, "the journal");
    assert.deepEqual(
      read.lines.map(({ n }) => n),
      ns,
    );
    assert.equal(read.notes.length, notes);
  });
}

test("a journal of very many lines is opened", async () => {
  const { lines } = readLines(`${line(7)}\n`, "the journal");
  const many = Array.from({ length: 300_000 }, () => lines[0] as (typeof lines)[0]);
  await using host = await openLocalHost();
  const copy = new JournalCopy("/dev/null/none"); // cannot be written, which is a note
  const journal = await Journal.open(
    { host, file: "/dev/null", copy, now: () => new Date() },
    { lines: many, notes: [] },
  );
  assert.equal(journal.lines.length, many.length);
});

test("what one journal lacks is told by the lines' text", () => {
  const { lines } = readLines(`${line(1)}\n${line(2)}\n`, "the journal");
  assert.deepEqual(
    lacking(lines, lines.slice(0, 1)).map(({ n }) => n),
    [2],
  );
});

test("hundreds of thousands of lines that are none are counted, at little cost", () => {
  const { lines, notes } = readLines("\r\n".repeat(300_000), "J");
  assert.deepEqual([lines.length, notes.length], [0, 21]);
  assert.equal(notes.at(-1), "299980 more lines of J cannot be read and are passed over");
});
