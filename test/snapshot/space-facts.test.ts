import assert from "node:assert/strict";
import { test } from "node:test";
import { spaceFacts, spaceInFacts } from "../../src/snapshot/space-facts.ts";

test("the space of file systems comes back from a record as it was", () => {
  const spaces = [
    { where: "/", free: 0, total: 1 },
    { where: "/a b\n/c", free: 10, total: Number.MAX_SAFE_INTEGER },
  ];
  assert.deepEqual(spaceInFacts(spaceFacts(spaces)), spaces);
});

const passed: readonly { name: string; value: string }[] = [
  { name: "free", value: "1 of 2" },
  { name: "free var", value: "1 of 2" },
  { name: "server.version /", value: "1 of 2" },
  { name: "free /", value: "1" },
  { name: "free /", value: "-1 of 2" },
  { name: "free /", value: "1 of 0" },
  { name: "free /", value: "9999999999999999 of 2" },
  { name: "free /", value: "1 of 9999999999999999" },
  { name: "free /", value: "1 of 22222222222222222" },
];
for (const { name, value } of passed) {
  test(`passed over: ${name}: ${value}`, () => {
    assert.deepEqual(spaceInFacts({ [name]: value, "free /var": "1 of 2" }), [
      { where: "/var", free: 1, total: 2 },
    ]);
  });
}
