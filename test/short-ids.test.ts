import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { OUTPUTS } from "../src/cli/outputs.ts";
import { openSite, type Site } from "./support/site.ts";

let site: Site;
let short = "";
before(async () => {
  site = await openSite();
  const { stdout } = await site.drops("snapshots", "--json");
  short = OUTPUTS.snapshots.parse(JSON.parse(stdout)).snapshots[0]?.id.slice(0, 8) ?? "";
});
after(() => site[Symbol.asyncDispose]());

const lines: readonly string[] = [
  "show @ID@",
  "ls @ID@",
  "verify @ID@",
  "restore --snapshot @ID@ --to @OUT@/a",
  "restore --date @ID@ --to @OUT@/b",
  "export --snapshot @ID@ words",
  "drill --snapshot @ID@",
  "runbook --expect-head @ID@",
  "snapshots --expect-head @ID@",
  "pin @ID@ --why kept",
  "unpin @ID@",
  "withdraw @ID@ --why wrong",
];
for (const line of lines) {
  test(`a short id is taken: ${line}`, async () => {
    const out = join(site.directory, "out");
    const words = line.replace("@ID@", short).replace("@OUT@", out).split(" ");
    const keyed = /^(restore|export|ls|drill)/.test(line) ? ["--identity", site.identity] : [];
    const { exit, stderr } = await site.drops(...words, ...keyed);
    assert.equal(exit, 0, stderr);
  });
}
