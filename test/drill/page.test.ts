import assert from "node:assert/strict";
import { test } from "node:test";
import type { Evidence } from "../../src/drill/evidence.ts";
import { pageOf } from "../../src/drill/page.ts";
import { rendered } from "../support/chromium.ts";
import { sampleEvidence } from "../support/sample-evidence.ts";

const older = sampleEvidence({ verdict: "proven", id: "1".repeat(16), ended: "2026-11-17T03:00:00.000Z" });
const context = {
  zone: "Europe/Berlin",
  sha256: "ab".repeat(32),
  signer: `SHA256:${"x".repeat(43)}`,
  earlier: [
    {
      file: "20261117T030000Z-1111111111111111.json",
      evidence: older,
      sha256: "00".repeat(32),
      page: "20261117T030000Z-1111111111111111.html",
    },
    {
      file: "x.json",
      refused: `${"long-name".repeat(20)}.json: the signature does not belong to these bytes`,
    },
  ],
};
const page = (change: Partial<Evidence> = {}) => pageOf(sampleEvidence(change), context);

for (const width of [320, 390, 768, 1280]) {
  test(`nothing sticks out of the page at ${width} pixels, and it loads nothing`, async () => {
    const told = await rendered(page(), width);
    assert.deepEqual(told, { scrollWidth: width, width, wide: [], loaded: [], scripts: 0 });
  });
}

test("the browser would tell of a page that sticks out or loads something", async () => {
  const bad = page()
    .replace(/<meta http-equiv[^>]*>/, "")
    .replace(
      "</main>",
      '<p style="width:2000px">wide</p><img src="data:image/gif;base64,R0lGODlhAQABAAAAACw="></main>',
    );
  const told = await rendered(bad, 390);
  assert.ok(told.scrollWidth > 1900);
  assert.deepEqual([told.wide, told.scripts], [["P."], 1]);
});

test("foreign words are seen and are no markup", () => {
  const text = page();
  assert.doesNotMatch(text, /<script|<img|<b>bold|onload='|\p{Cf}|(?!\n)\p{Cc}/u);
  assert.match(text, /&lt;script&gt;alert\(1\)&lt;\/script&gt; &amp; \\u\{202e\}more/);
});

test("the page names nothing outside of itself but the pages of earlier drills", () => {
  const text = page();
  const links = [...text.matchAll(/\b(?:src|href|action|data|poster)\s*=\s*"([^"]*)"/g)].map(
    ([, link]) => link,
  );
  assert.deepEqual(links, ["20261117T030000Z-1111111111111111.html"]);
  assert.doesNotMatch(text, /url\(|@import|@font-face/);
  assert.match(
    text,
    /<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">/,
  );
});

const verdicts: readonly { verdict: Evidence["verdict"]; says: string }[] = [
  { verdict: "proven", says: "✓ This backup can be restored" },
  { verdict: "damaged", says: "✗ Stored data is damaged or missing" },
  { verdict: "unproven", says: "! Not proven: a check failed, or could not run" },
];
for (const { verdict, says } of verdicts) {
  test(`a drill that is ${verdict} says so first`, () => {
    const text = page({ verdict });
    assert.match(text, new RegExp(`<header class="${verdict}">\\n<h1>${says.replace("?", "\\?")}</h1>`));
    assert.match(text, /What was not tested[\s\S]*source media[\s\S]*the services themselves/);
  });
}
