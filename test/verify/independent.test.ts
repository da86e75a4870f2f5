import assert from "node:assert/strict";
import { after, test } from "node:test";
import { drops } from "../support/in-process.ts";
import { openSite } from "../support/site.ts";

const stack = new AsyncDisposableStack();
after(() => stack.disposeAsync());
const site = stack.use(await openSite());
const LINE = ["verify", "--read-data", "--independent"];

test("with an identity that opens backups the report says who has read them", async () => {
  const { exit, stdout } = await site.drops(...LINE, "--identity", site.identity);
  assert.equal(exit, 0);
  assert.match(
    stdout,
    /1 pack \(.*\) read back, opened and every chunk compared with its name, by drops and by age, zlib and tar/,
  );
});

test("with the metadata identity, which opens no pack, it says that nobody read them", async () => {
  const { exit, stdout } = await site.drops(...LINE);
  assert.equal(exit, 0);
  assert.match(stdout, /read back, compared with their names, not opened/);
  assert.match(stdout, /1 packs could not be opened with these identities/);
});

test("without any identity it is refused", async () => {
  const from = ["--store", site.repository, "--trusted-signer", `${site.keys}/signing-key.pub`];
  const { exit, stderr } = await drops([...LINE, ...from]);
  assert.equal(exit, 13);
  assert.match(stderr, /--independent needs an identity, because it opens packs\nhint: --identity FILE/);
});
