import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { test } from "node:test";
import { parse } from "acorn";
import { type Mutant, mutantsOf } from "./support/mutants.ts";

const table: readonly { source: string; becomes: readonly string[] }[] = [
  { source: "a < b;", becomes: ["a <= b;"] },
  { source: "a ?? b;", becomes: ["((a) && (b));"] },
  { source: "a && !b;", becomes: ["((a) || (!b));", "a && b;"] },
  { source: 'a + "text";', becomes: ['a + "";'] },
  { source: "const a: number = b - 1;", becomes: ["const a: number = b + 1;"] },
  { source: "if (a) b++;", becomes: ["if (true) b++;", "if (false) b++;", "if (a) b--;"] },
  { source: "while (a) { b(); }", becomes: ["while (false) { b(); }", "while (a) {}"] },
  { source: "a.filter(b).some(c);", becomes: ["a.some(c);", "a.filter(b).every(c);"] },
  { source: "a.toString();", becomes: [] },
  { source: 'throw new DropsError("data/damaged", "a" + b);', becomes: [] },
  { source: 'import { a } from "b";', becomes: [] },
];
for (const { source, becomes } of table) {
  test(`faults of: ${source}`, () => {
    assert.deepEqual(
      mutantsOf(source).map((mutant) => applied(source, mutant)),
      becomes,
    );
  });
}

test("every tenth fault of the code is a program still: none is found by its syntax", () => {
  for (const file of globSync("src/{retention,snapshot,source/rocksdb}/**/*.ts")) {
    const source = readFileSync(file, "utf8");
    for (const mutant of mutantsOf(source).filter((_, index) => index % 10 === 0)) {
      const program = stripTypeScriptTypes(applied(source, mutant));
      assert.doesNotThrow(
        () => parse(program, { ecmaVersion: "latest", sourceType: "module" }),
        `${file}, ${mutant.kind} at ${mutant.start}`,
      );
    }
  }
});

function applied(source: string, { start, end, text }: Mutant): string {
  return source.slice(0, start) + text + source.slice(end);
}
