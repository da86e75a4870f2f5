import assert from "node:assert/strict";
import { test } from "node:test";
import { type Mark, sweep } from "../../src/retention/sweep.ts";
import type { StoredObject } from "../../src/snapshot/stored-objects.ts";

const HOUR = 3600;
const NOW = new Date("2026-11-24T12:00:00Z");

function pack(name: string, hoursOld: number): StoredObject {
  return { kind: "pack", name, size: 100, modified: new Date(NOW.getTime() - hoursOld * HOUR * 1000) };
}

function mark(names: string, hoursOld: number, trusted = true): Mark {
  return {
    key: `mark of ${names}`,
    landed: new Date(NOW.getTime() - hoursOld * HOUR * 1000),
    trusted,
    objects: names.split(" ").map((name) => ({ kind: "pack", name })),
  };
}

const table: readonly {
  name: string;
  objects: readonly StoredObject[];
  referenced?: string;
  marks?: readonly Mark[];
  /** Fates as `name fate`, and `spent key`. */
  fates: readonly string[];
}[] = [
  { name: "what is referred to stays, however old", objects: [pack("a", 9999)], referenced: "a", fates: [] },
  {
    name: "a young one may belong to a backup that is running",
    objects: [pack("a", 47)],
    fates: ["a young"],
  },
  { name: "an old one is condemned first", objects: [pack("a", 49)], fates: ["a condemn"] },
  {
    name: "condemned a short time ago: it waits",
    objects: [pack("a", 99)],
    marks: [mark("a", 23)],
    fates: ["a waiting"],
  },
  {
    name: "condemned long enough ago: it goes",
    objects: [pack("a", 99)],
    marks: [mark("a", 25)],
    fates: ["a remove"],
  },
  {
    name: "condemned, and referred to again: it stays, and so does the mark",
    objects: [pack("a", 99)],
    referenced: "a",
    marks: [mark("a", 25)],
    fates: [],
  },
  {
    name: "a mark cannot make a young object go",
    objects: [pack("a", 60)],
    marks: [mark("a", 25)],
    fates: ["a waiting"],
  },
  {
    name: "a mark that nobody trusted signed has no say",
    objects: [pack("a", 99)],
    marks: [mark("a", 25, false)],
    fates: ["a condemn"],
  },
  {
    name: "the oldest of several marks counts",
    objects: [pack("a", 99)],
    marks: [mark("a", 2), mark("a", 30), mark("a", 5)],
    fates: ["a remove"],
  },
  {
    name: "a mark is spent when all it names is gone, and not before",
    objects: [pack("a", 99)],
    marks: [mark("gone too", 30), mark("gone a", 26), mark("gone", 2)],
    fates: ["a remove", "spent mark of gone too"],
  },
  {
    name: "a mark of another kind of object with the same name has no say",
    objects: [{ ...pack("a", 99), kind: "list" }],
    marks: [mark("a", 30)],
    fates: ["a condemn", "spent mark of a"],
  },
];

for (const { name, objects, referenced, marks = [], fates } of table) {
  test(name, () => {
    const plan = sweep({
      objects,
      referenced: new Set(referenced?.split(" ").map((each) => `pack ${each}`)),
      marks,
      now: NOW,
      condemnAfter: 48 * HOUR,
      deleteAfter: 24 * HOUR,
    });
    const { spentMarks, ...byFate } = plan;
    const found = Object.entries(byFate).flatMap(([fate, all]) =>
      all.map((object) => `${object.name} ${fate}`),
    );
    assert.deepEqual([...found, ...spentMarks.map((key) => `spent ${key}`)], fates);
  });
}
