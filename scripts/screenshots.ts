import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pageOf as drillPage } from "../src/drill/page.ts";
import { pageOf as statusPage } from "../src/status/page.ts";
import { statusOf } from "../src/status/status.ts";
import { sampleEvidence } from "../test/support/sample-evidence.ts";
import { greenSeen } from "../test/support/sample-status.ts";

// The pictures of docs/images, from the sample data of the tests: sh scripts/node scripts/screenshots.ts
const images = new URL("../docs/images/", import.meta.url).pathname;
const WIDTH = 800;

const evidence = sampleEvidence();
const passed = evidence.checks.filter(({ outcome }) => outcome === "passed");
const drilled = sampleEvidence({
  verdict: "proven",
  whole: true,
  checks: passed,
  objectives: { ...evidence.objectives, rto_ms: 7_200_000 },
  not_tested: [],
  notes: [],
});
const context = { zone: "Europe/Berlin", sha256: "ab".repeat(32), signer: "SHA256:abc", earlier: [] };

mkdirSync(images, { recursive: true });
capture("status.png", statusPage(statusOf(greenSeen())), 848);
capture("drill.png", drillPage(drilled, context), 730);

/** A picture of the top of a page, `height` pixels of it. */
function capture(name: string, html: string, height: number): void {
  const directory = mkdtempSync(join(tmpdir(), "drops-screenshot-"));
  try {
    const page = join(directory, "page.html");
    writeFileSync(page, html);
    execFileSync("chromium", [
      ...["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
      ...[
        "--hide-scrollbars",
        `--window-size=${WIDTH},${height}`,
        `--user-data-dir=${join(directory, "profile")}`,
      ],
      ...[`--screenshot=${join(images, name)}`, `file://${page}`],
    ]);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
