import assert from "node:assert/strict";
import { test } from "node:test";
import { restoreInWords } from "../../src/cli/words/restore.ts";
import { damageInWords } from "../../src/restore/damage.ts";
import type { RestoreReport, SourceDamage } from "../../src/restore/report.ts";
import * as samples from "../support/sample-reports.ts";

const paint = { bold: String, dim: String, red: String, green: String, yellow: String };

function words(change: Partial<RestoreReport["sources"][number]>): string {
  const [first, hurt] = samples.restore.sources;
  assert.ok(first && hurt);
  return restoreInWords({ ...samples.restore, sources: [first, { ...hurt, ...change }] }, paint);
}

test("what can come back and what cannot is said, file by file", () => {
  const text = words({});
  assert.match(text, /media: 1,200 entries \(4\.7 GiB\) can be restored whole, 1 in part, 1 lost/);
  assert.match(text, /lost: pack [0-9a-f]{16}… is not in the store/);
  assert.match(text, /2 chunks found in packs of other snapshots/);
  assert.match(text, /local_content\/ab\/cd: lost; another version in snapshot aaaaaaaaaaaaaaaa/);
  assert.match(text, /31m: 2\.0 MiB of 8\.6 MiB missing/);
  assert.match(words({ outcome: "damaged" }), /1,200 entries \(4\.7 GiB\) restored whole/);
});

test("a long list of files is cut short for people", () => {
  const damage = samples.restore.sources[1]?.damage;
  const [file] = damage?.files ?? [];
  assert.ok(damage && file);
  const files = Array.from({ length: 40 }, (_, at) => ({ ...file, path: `file ${at}` }));
  const text = words({ damage: { ...damage, files } });
  assert.match(text, /file 9: lost/);
  assert.doesNotMatch(text, /file 10: lost/);
  assert.match(text, /and 30 more files/);
});

test("NAME.damaged.txt holds every file and every range", () => {
  const damage = samples.restore.sources[1]?.damage as SourceDamage;
  const text = damageInWords(
    "media",
    { id: "0123456789abcdef", zone: "Europe/Berlin" },
    damage,
    "a pack is missing",
  );
  assert.match(text, /^Source media of snapshot 0123456789abcdef came back from a damaged repository\.$/m);
  assert.match(text, /^It began with: a pack is missing$/m);
  assert.match(text, /^ {2}lost: nothing of it is left$/m);
  assert.match(
    text,
    /^ {2}another version: drops restore --snapshot aaaaaaaaaaaaaaaa \(ended \S+ \S+ \+01:00\)$/m,
  );
  assert.match(text, /^ {4}bytes 1048576 to 2097151\n {4}bytes 8000000 to 8999999$/m);
});
