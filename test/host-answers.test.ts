/** What programs on the host print is foreign: numbers that are none are refused where they are read. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { unitStates } from "../src/guided/services/units.ts";
import { isFailure } from "../src/lib/errors.ts";
import { linesOf } from "../src/source/postgres/lines.ts";
import { hostDatabase } from "../src/source/rocksdb/verify/database-files.ts";
import { answeringHost } from "./support/answering-host.ts";

const how = { signal: new AbortController().signal };
const list = (stdout: string) => hostDatabase(answeringHost(Buffer.from(stdout)), "/db").list(how);
const units = (stdout: string) => unitStates(answeringHost(Buffer.from(stdout)), ["a.service"], how);

test("a directory's listing and a unit's numbers are read", async () => {
  assert.deepEqual(
    [...(await list("16 CURRENT\x000 a b\nc\x00"))],
    [
      ["CURRENT", 16],
      ["a b\nc", 0],
    ],
  );
  const [state] = await units("Id=a.service\nExecMainCode=1\nExecMainStatus=3\nNRestarts=2\n");
  assert.deepEqual([state?.exit, state?.restarts], [3, 2]);
  const [socket] = await units("Id=a.service\nActiveState=active\n");
  assert.deepEqual([socket?.exit, socket?.restarts], [undefined, 0]);
});

async function* endless(): AsyncGenerator<Buffer> {
  for (let pulled = 0; pulled < 1000; pulled++) yield Buffer.alloc(4096, "x");
}

const refused: readonly { name: string; answer: () => Promise<unknown> }[] = [
  { name: "a size that is none", answer: () => list("x CURRENT\x00") },
  { name: "a size without a name", answer: () => list("16\x00") },
  { name: "a size beyond every disk", answer: () => list(`${"9".repeat(16)} CURRENT\x00`) },
  { name: "a line without end", answer: () => linesOf(endless()).next() },
  { name: "restarts that are none", answer: () => units("Id=a.service\nNRestarts=-1\n") },
  {
    name: "an exit status that is none",
    answer: () => units("Id=a.service\nExecMainCode=1\nExecMainStatus=x\n"),
  },
];
for (const { name, answer } of refused) {
  test(`refused: ${name}`, () => assert.rejects(answer, (error) => isFailure(error, "host/command-failed")));
}
