import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Drillable, drillable } from "../support/drillable.ts";

let site: Drillable;
before(async () => {
  site = await drillable();
});
after(() => site[Symbol.asyncDispose]());

test("a good snapshot is proven, by every check there is", async () => {
  const { verdict, book, whole, sandbox, objectives, restored } = await site.drill();
  assert.equal(verdict, "proven");
  assert.ok(whole);
});
