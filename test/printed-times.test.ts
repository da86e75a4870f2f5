import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openSite, type Site } from "./support/site.ts";

/** As clocks in the policy's zone, Europe/Berlin, showed it. */
const OWN = /\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0[12]:00/g;
/** Any other time. */
const OTHER = /\d{4}-\d\d-\d\dT\S*|\b\d{8}T\d{6}Z?|\b\d\d:\d\d(:\d\d)?\b/g;
/** Names of objects hold a time of UTC, and are names. */
const KEYS = /\S*\/(evidence|snapshots|doctor|pins|withdrawn)\/\S+/g;

let site: Site;
before(async () => {
  site = await openSite();
  assert.equal((await site.drops("backup")).exit, 0);
});
after(() => site[Symbol.asyncDispose]());

const lines: readonly string[] = [
  "backup",
  "snapshots",
  "show latest",
  "ls latest --identity @IDENTITY@",
  "plan",
  "prune --dry-run",
  "verify --routine",
  "drill --identity @IDENTITY@ --evidence @OUT@/evidence --publish",
  "restore --date latest --to @OUT@/back --identity @IDENTITY@",
  "doctor --identity @IDENTITY@",
  "status",
  "keys",
  "pin latest --why kept --until 2099-01-01",
  "pin latest --why again",
  "unpin latest",
  "withdraw latest --why wrong",
  "snapshots",
  "status",
  "restore --date latest --to @OUT@/again --identity @IDENTITY@",
];
for (const line of lines) {
  test(`every time that is printed is of the policy's zone: ${line}`, async () => {
    const out = join(site.directory, "out");
    const words = line.replace("@IDENTITY@", site.identity).replace("@OUT@", out).split(" ");
    const { stdout, stderr } = await site.drops(...words);
    const printed = `${stdout}\n${stderr}`;
    assert.equal(printed.replaceAll(KEYS, "").replaceAll(OWN, "").match(OTHER), null, printed);
  });
}
