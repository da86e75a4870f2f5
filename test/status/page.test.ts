import assert from "node:assert/strict";
import { test } from "node:test";
import { escaped } from "../../src/page/escape.ts";
import { calendarOf } from "../../src/status/calendar.ts";
import { pageOf } from "../../src/status/page.ts";
import { statusOf } from "../../src/status/status.ts";
import { rendered } from "../support/chromium.ts";
import { brokenSeen, greenSeen, NOW, seenSnapshot } from "../support/sample-status.ts";

const broken = () => pageOf(statusOf(brokenSeen()));

for (const width of [320, 390, 1280]) {
  test(`nothing sticks out of the page at ${width} pixels, and it loads nothing`, async () => {
    assert.deepEqual(await rendered(broken(), width), {
      scrollWidth: width,
      width,
      wide: [],
      loaded: [],
      scripts: 0,
    });
  });
}

test("foreign words are seen and are no markup", () => {
  const text = broken();
  assert.doesNotMatch(text, /<script|<img|<b>wrong|<i>signed|\p{Cf}|(?!\n)\p{Cc}/u);
  assert.match(text, /&lt;script&gt;alert\(1\)&lt;\/script&gt; \\u\{1b\}\[31mred\\u\{202e\} is gone/);
  assert.match(text, /not trusted<\/strong>: 5\.verify\.json: &lt;u&gt;nobody&lt;\/u&gt; trusted/);
  assert.match(text, /&lt;b&gt;wrong&lt;\/b&gt; state/);
});

test("the page names nothing outside of itself", () => {
  const text = broken();
  assert.doesNotMatch(text, /<[^>]*\b(?:src|href|action|data|poster)\s*=|url\(|@import|@font-face/);
  assert.match(text, /content="default-src 'none'; style-src 'unsafe-inline'"/);
});

test("the state is said first, then why, then the next command", () => {
  const text = broken();
  assert.match(
    text,
    /<header class="damaged">\n<h1>✗ Backups are broken<\/h1>[\s\S]*no snapshot holds forgejo[\s\S]*Next: <code>drops verify<\/code><\/p>\n<\/header>/,
  );
  assert.match(
    pageOf(statusOf(greenSeen())),
    /<header class="proven">\n<h1>✓ Backups are there, young and whole<\/h1>/,
  );
});

test("every concern stands there with its remedy", () => {
  const status = statusOf(brokenSeen());
  const text = pageOf(status);
  assert.equal(text.split('<span class="fix">fix: ').length - 1, status.concerns.length);
  for (const { hint } of status.concerns) assert.ok(text.includes(`fix: ${escaped(hint)}<`), hint);
});

test("the last verify and what was read back so far, against the time that is allowed", () => {
  assert.match(
    broken(),
    /<dt>Last verified<\/dt><dd><time[^>]*>2026-11-10 06:10:00 \+01:00<\/time>, 14 d 1 h of 8 d old: <strong class="wrong">1 damaged<\/strong>, by checksums; 50 % of the data read back so far<br><strong>not trusted<\/strong>: [^<]*<div class="meter damaged">/,
  );
  assert.match(pageOf(statusOf(greenSeen({ verifies: [] }))), /<dt>Last verified<\/dt><dd>never: no verify/);
});

test("a night without a snapshot is a gap in the calendar; tomorrow is none", () => {
  const snapshots = statusOf(
    greenSeen({
      snapshots: [
        seenSnapshot("2026-10-31T01:30:00.000Z"),
        seenSnapshot("2026-11-22T23:30:00.000Z"), // the 23rd in Berlin
        seenSnapshot("2026-11-24T01:30:00.000Z", { state: "partial" }),
      ],
    }),
  ).snapshots;
  const [november, october, ...more] = calendarOf(snapshots, NOW, "Europe/Berlin");
  assert.deepEqual(more, []);
  assert.equal(november?.before, 6, "2026-11-01 is a Sunday");
  const marks = (days = november?.days ?? []) => days.map(({ mark }) => mark);
  assert.deepEqual(marks().slice(20), ["none", "none", "good", "partial", ...Array(6).fill("ahead")]);
  assert.deepEqual(marks(october?.days).slice(28), ["ahead", "ahead", "good"]);
});

test("the calendar crosses years and ends after 13 months", () => {
  const { snapshots } = statusOf(greenSeen({ snapshots: [seenSnapshot("2020-01-01T01:30:00.000Z")] }));
  const months = calendarOf(snapshots, new Date("2026-02-03T00:00:00Z"), "UTC").map(({ month }) => month);
  assert.equal(months.length, 13);
  assert.deepEqual(months.slice(0, 3), ["2026-02", "2026-01", "2025-12"]);
  assert.equal(months.at(-1), "2025-02");
});
