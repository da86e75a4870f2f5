import assert from "node:assert/strict";
import { readFile, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { commitRecord } from "../../src/backup/commit.ts";
import { OUTPUTS } from "../../src/cli/outputs.ts";
import { newSigningKey } from "../../src/seal/keygen.ts";
import { signerFromText } from "../../src/seal/sshsig.ts";
import type { SnapshotRecord } from "../../src/snapshot/record.ts";
import { openDirectoryStore } from "../../src/store/directory.ts";
import { signatureKey } from "../../src/store/keys.ts";
import { openSite } from "../support/site.ts";

const RULES = "keep: { daily: 1, weekly: 0, monthly: 0 }\nprune: { max_shrink: 100 }\n";
const site = await openSite({ more: RULES });
after(() => site[Symbol.asyncDispose]());
const words = join(site.directory, "words");
await site.policy({ sources: `  - { name: words, kind: command, argv: [cat, "${words}"] }\n`, more: RULES });

async function run(exit: number, ...args: readonly string[]) {
  const outcome = await site.drops(...args);
  assert.equal(outcome.exit, exit, `${args.join(" ")}: ${outcome.stdout}${outcome.stderr}`);
  return outcome;
}

async function backup(content: string): Promise<string> {
  await writeFile(words, content);
  return JSON.parse((await run(0, "backup", "--json")).stdout).snapshot.id;
}

async function plan(...args: readonly string[]) {
  return OUTPUTS.plan.strict().parse(JSON.parse((await run(0, "plan", "--json", ...args)).stdout));
}

/** All objects but records landed so many hours ago. */
async function age(hours: number): Promise<void> {
  const then = new Date(Date.now() - hours * 3_600_000);
  for (const object of await site.objects()) {
    if (!object.includes("/snapshots/")) await utimes(object, then, then);
  }
}

const [first, second, third] = [await backup("first"), await backup("second"), await backup("third")];

test("plan says what stays, why, and what a prune would do; other rules and dates may be tried", async () => {
  const now = await plan();
  assert.equal(now.next?.forget, 3); // the first night of the site, and two of ours
  assert.deepEqual(now.snapshots.at(-1)?.reasons.slice(0, 2), ["daily 1 of 1", "the newest complete one"]);
  assert.match(now.promise, /^any of the last 1 day; oldest restore point 20\d\d-/);
  const tried = await plan("--last", "3", "--daily", "0");
  assert.deepEqual(
    tried.snapshots.filter(({ keep }) => keep).map(({ id }) => id),
    [first, second, third],
  );
  const year = new Date(Date.now() + 400 * 86_400_000).toISOString().slice(0, 10);
  const later = await plan("--at", year, "--daily", "7", "--weekly", "4", "--monthly", "12");
  assert.equal(later.snapshots.length, 23);
  assert.ok(later.snapshots.slice(-22).every(({ imagined }) => imagined));
  await run(2, "plan", "--at", "2020-01-01");
  await run(2, "plan", "--daily", "0");
});

test("more than the policy's share is refused, unless the exact number is accepted", async () => {
  const before = await site.objects();
  const { stdout, stderr } = await run(22, "prune", "--yes");
  assert.match(
    stdout,
    /refused: 3 of 4 complete snapshots would be forgotten at once; the policy allows 30 %/,
  );
  assert.match(stderr, /nothing was done[\s\S]*hint: if that is what you want: drops prune --accept 3/);
  await run(22, "prune", "--yes", "--accept", "2");
  await run(22, "prune", "--dry-run");
  await run(22, "prune");
  assert.deepEqual(await site.objects(), before);
});

test("a pinned snapshot stays, an unpinned one does not; a withdrawn one is warned of", async () => {
  const { stdout } = await run(0, "pin", first.slice(0, 8), "--why", "the good one", "--until", "2099-12-31");
  assert.match(stdout, new RegExp(`snapshot ${first} of site.*pinned until 2100-01-01`));
  assert.equal((await plan()).next?.forget, 2);
  const again = await run(22, "pin", first);
  assert.match(
    again.stderr,
    /is pinned until 2100-01-01 00:00:00 \+01:00 already: the good one\nhint: drops unpin/,
  );
  await run(2, "pin", second, "--until", "2020-01-01");
  await run(10, "unpin", second);
  await run(10, "pin", "0123456789abcdef");
  await run(0, "pin", second);
  await run(0, "unpin", second);
  await run(0, "withdraw", second, "--why", "wrong database");
  const warning = new RegExp(`snapshot ${second} was withdrawn on 20..-..-..: wrong database`);
  assert.match((await run(0, "snapshots")).stdout, warning);
  const to = join(site.directory, "restored-second");
  const restored = await run(0, "restore", "--snapshot", second, "--to", to, "--identity", site.identity);
  assert.match(restored.stdout + restored.stderr, warning);
});

test("prune frees what nobody needs, in two visits", async () => {
  const one = OUTPUTS.prune.strict().parse(JSON.parse((await run(0, "prune", "--yes", "--json")).stdout));
  assert.equal(one.forgotten.length, 2);
  assert.ok(one.forgotten.some(({ id }) => id === second));
  assert.equal(one.condemned.objects, 0);
  assert.ok(one.young.bytes > 0);
  await age(80);
  const two = JSON.parse((await run(0, "prune", "--yes", "--json")).stdout);
  assert.deepEqual([two.condemned.objects, two.removed.objects], [6, 0]);
  await age(80);
  const before = (await site.objects()).length;
  const three = JSON.parse((await run(0, "prune", "--yes", "--json")).stdout);
  assert.deepEqual([three.removed.objects, three.removed.bytes], [6, two.condemned.bytes]);
  assert.equal((await site.objects()).length, before - 6);
  await run(0, "prune", "--yes");
  assert.equal((await site.objects()).filter((object) => object.includes("/condemned/")).length, 0);
  await run(0, "verify", "--read-data", "--identity", site.identity);
  for (const [id, content] of [
    [first, "first"],
    [third, "third"],
  ] as const) {
    const to = join(site.directory, content);
    await run(0, "restore", "--snapshot", id, "--to", to, "--identity", site.identity);
    assert.equal(
      await readFile(join(to, "words", "output"), "utf8").catch(() => readFile(join(to, "words"), "utf8")),
      content,
    );
  }
});

test("a record that a stranger signed is named by plan and prune, which go on: exit 0", async () => {
  const file = (await site.objects()).find((object) => object.endsWith(`${third}.json`));
  assert.ok(file);
  const record = JSON.parse(await readFile(file, "utf8")) as SnapshotRecord;
  const [id, stranger] = ["f".repeat(16), newSigningKey("stranger").privateKey];
  const how = { signal: new AbortController().signal };
  await using store = await openDirectoryStore(site.repository, {});
  const forged = { ...record, id, ended: new Date().toISOString() };
  const key = await commitRecord(store, forged, signerFromText(stranger, "a stranger's key"), how);
  const planned = (await plan()).snapshots.find((snapshot) => snapshot.id === id);
  assert.equal(planned?.quarantined, "no trusted key signed it");
  const { stdout } = await run(0, "prune", "--yes");
  assert.ok(stdout.includes(`quarantine ${key}: no trusted key signed it`), stdout);
  for (const left of [key, signatureKey(key)]) await store.remove(left, how);
});

test("a record that cannot be read stops a prune, and is named", async () => {
  const record = (await site.objects()).find((object) => object.endsWith(`${third}.json`));
  assert.ok(record);
  const bytes = await readFile(record);
  await writeFile(record, "garbage");
  const { stderr } = await run(22, "prune", "--yes");
  assert.match(
    stderr,
    new RegExp(`nothing was done: snapshot record site/snapshots/.*${third}\\.json is not JSON`),
  );
  await writeFile(record, bytes);
  await run(0, "prune", "--yes");
});
