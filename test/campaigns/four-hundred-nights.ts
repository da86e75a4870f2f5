/**
 * Backup and prune, night after night, on the real code with a clock of its own: how much is stored, how much of that is
 * needed, how many store calls a night costs. At the end every restore point is read back to the last byte.
 *
 *   sh scripts/node test/campaigns/four-hundred-nights.ts --nights 400
 */
import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { basename } from "node:path";
import { parseArgs } from "node:util";
import { faultyStore } from "../support/faulty-store.ts";
import { fixedBytes } from "../support/fixed-bytes.ts";
import { keysOf, nights } from "../support/nights.ts";

const { values } = parseArgs({ options: { nights: { type: "string", default: "400" } } });
const NIGHTS = Number(values.nights);
const FILES = 40;
const SIZE = 48 * 1024;
/** So many files change every night, one after another. */
const CHANGED = 3;

/** What a file holds after that night. */
function contentOf(file: number, night: number): Buffer {
  const rounds = Math.ceil(FILES / CHANGED);
  const turn = Math.floor(file / CHANGED);
  return fixedBytes(`file ${file}, change ${Math.floor((night + rounds - turn) / rounds)}`, SIZE);
}

await using site = await nights({
  sources: `  - { name: tree, kind: files, paths: ["@DIR@/tree"] }
  - { name: settings, kind: command, argv: [cat, "@DIR@/settings"] }
`,
});
const nightOf = new Map<string, number>();
const calls = { backup: 0, prune: 0 };
const bytes = { put: 0, freed: 0, most: 0, mostEarly: 0 };
await mkdir(`${site.rehearsal.directory}/tree`);
await site.write("settings", Buffer.from("never changes"));
for (let night = 0; night < NIGHTS; night++) {
  site.sleep();
  for (let file = 0; file < FILES; file++) {
    const content = contentOf(file, night);
    if (night === 0 || !content.equals(contentOf(file, night - 1))) await site.write(`tree/${file}`, content);
  }
  const [backing, pruning] = [faultyStore(site.store, []), faultyStore(site.store, [])];
  const before = await storedBytes();
  nightOf.set(await site.backup(backing), night);
  bytes.put += (await storedBytes()) - before;
  const { removed } = await site.prune({ store: pruning });
  calls.backup += backing.calls.length;
  calls.prune += pruning.calls.length;
  bytes.freed += removed.reduce((sum, { size }) => sum + size, 0);
  bytes.most = Math.max(bytes.most, await storedBytes());
  if (night < NIGHTS * 0.9) bytes.mostEarly = bytes.most;
  if (night % 50 === 49) console.log(`night ${night + 1}: ${await storedBytes()} bytes stored`);
}

const { survey, plan } = await site.plan();
const points = plan.decisions.filter(({ slots }) => slots.length > 0);
const oldestDays = Math.round(
  (site.clock.now.getTime() - (points[0]?.snapshot.ended.getTime() ?? 0)) / 86_400_000,
);
const live = new Set(
  survey.snapshots.flatMap(({ listed }) => [...survey.references.objectsOf(listed.record)]),
);
const liveBytes = [...live].reduce((sum, { size }) => sum + size, 0);
const stored = await storedBytes();
for (const { record, sources } of await site.readAll()) {
  const night = nightOf.get(record.id) ?? -1;
  const files = [...(sources.get("tree") ?? [])];
  assert.equal(files.length, FILES);
  for (const [path, content] of files) assert.deepEqual(content, contentOf(Number(basename(path)), night));
  assert.equal(sources.get("settings")?.get("output")?.toString(), "never changes");
}
const share = Math.round((liveBytes / stored) * 100);
console.log(
  `${NIGHTS} nights: ${points.length} restore points, all read back, the oldest of ${oldestDays} days ago; ` +
    `data ${FILES * SIZE} bytes, stored ${stored}, at most ${bytes.most}, needed ${share} %; a night: ` +
    `${Math.round(calls.backup / NIGHTS)} + ${Math.round(calls.prune / NIGHTS)} store calls of backup and prune, ` +
    `${Math.round(bytes.put / NIGHTS)} bytes put, ${Math.round(bytes.freed / NIGHTS)} freed`,
);
if (NIGHTS >= 400) {
  assert.equal(survey.snapshots.length, 23);
  assert.ok(oldestDays >= 341);
  assert.ok(bytes.most <= bytes.mostEarly * 1.05, "what is stored does not grow any more");
}
assert.ok(
  bytes.most < 27 * FILES * SIZE,
  "never more than every restore point and three waiting nights in full",
);
assert.ok(share >= 80, "what is stored is needed");

async function storedBytes(): Promise<number> {
  return [...(await keysOf(site.store)).values()].reduce((sum, size) => sum + size, 0);
}
