import { inBytes } from "../lib/units.ts";
import { duration } from "../lib/words.ts";
import { escaped } from "../page/escape.ts";
import { item, meter, numberOf, page, timeOf } from "../page/page.ts";
import { PAGE_STYLE } from "../page/style.ts";
import type { EarlierEvidence } from "./earlier-evidence.ts";
import type { Evidence } from "./evidence.ts";

type Check = Evidence["checks"][number];

/** What a page tells beside the evidence itself. */
export interface PageContext {
  readonly earlier: readonly EarlierEvidence[];
  readonly zone: string;
  /** Of the evidence's bytes. */
  readonly sha256: string;
  /** Fingerprint of the key that signed them. */
  readonly signer: string;
}

/** Evidence as one page that needs nothing else: it may load nothing, runs no script, and every foreign word is escaped. */
export function pageOf(evidence: Evidence, context: PageContext): string {
  const title = `Drill of ${evidence.policy}: ${evidence.verdict}`;
  const parts = [
    head(evidence, context),
    measures(evidence, context),
    checked(evidence),
    notTested(evidence),
    timeline(evidence),
    remarks(evidence),
    history(evidence, context),
    proof(evidence, context),
  ];
  return page({ title, style: PAGE_STYLE, body: `<main>\n${parts.join("\n")}\n</main>` });
}

const HEADLINES: Readonly<Record<Evidence["verdict"], string>> = {
  proven: "✓ This backup can be restored",
  damaged: "✗ Stored data is damaged or missing",
  unproven: "! Not proven: a check failed, or could not run",
};

function head(evidence: Evidence, { zone }: PageContext): string {
  const { checks, snapshot, verdict, whole, not_tested: skipped } = evidence;
  const passed = checks.filter(({ outcome }) => outcome === "passed").length;
  const part = whole ? "" : `<p><strong>Only a part of the snapshot was drilled.</strong></p>`;
  const open = skipped.length > 0 ? `, ${skipped.length} not tested` : "";
  const newer = snapshot.newer > 0 ? ` (${snapshot.newer} newer)` : "";
  const bad = checks.filter(({ outcome }) => outcome !== "passed");
  const listed = bad.map(({ source, name, outcome }) => {
    return `<li class="${outcome}"><span class="mark">${MARKS[outcome]}</span> ${source === null ? "" : `${escaped(source)}: `}${escaped(name)}</li>`;
  });
  const list = listed.length === 0 ? "" : `<ul class="bad">\n${listed.join("\n")}\n</ul>\n`;
  return `<header class="${verdict}">
<h1>${HEADLINES[verdict]}</h1>
<p>${escaped(evidence.policy)}: snapshot of ${timeOf(snapshot.ended, zone)}${newer}, drilled ${timeOf(evidence.started, zone)}</p>
<p>${passed} of ${checks.length} checks passed${open}</p>
${part}${list}</header>`;
}

function measures(evidence: Evidence, { zone }: PageContext): string {
  const { objectives, snapshot, restored, sandbox } = evidence;
  const { age_ms: age, rpo_ms: rpo, restore_ms: restore, load_ms: load, rto_ms: rto } = objectives;
  const took = restore === null ? null : restore + (load ?? 0);
  const parts = [
    measure("Age of the recovery point (RPO)", age, rpo),
    measure("Time to restore and load (RTO)", took, rto),
    item(
      "Snapshot",
      `<code>${escaped(snapshot.id)}</code>, ${snapshot.state}, signature ${snapshot.signature}`,
    ),
    item("Recovery point taken", `${timeOf(snapshot.started, zone)} to ${timeOf(snapshot.ended, zone)}`),
    item(
      "Restored",
      `${numberOf(restored.files)} files, ${inBytes(restored.bytes)} from ${numberOf(restored.packs)} packs`,
    ),
    evidence.on === null
      ? item("Sandbox", `user ${escaped(sandbox.user)}, network ${sandbox.network}`)
      : item("Drilled on", `${escaped(evidence.on)}, network ${sandbox.network}`),
  ];
  return `<section>\n<h2>Measured</h2>\n<dl class="grid">\n${parts.join("\n")}\n</dl>\n</section>`;
}

function measure(name: string, value: number | null, limit: number | null): string {
  if (value === null) return item(name, "not measured");
  if (limit === null) return item(name, `${inTime(value)}; no policy says how much is allowed`);
  const words = `${inTime(value)} of ${inTime(limit)} allowed${value <= limit ? "" : ": too much"}`;
  return item(name, `${words}${meter(value, limit)}`);
}

const MARKS: Readonly<Record<Check["outcome"], string>> = {
  passed: "✓ passed",
  failed: "✗ failed",
  damaged: "✗ damaged",
  "could-not-run": "! could not run",
};

function checked({ checks }: Evidence): string {
  const sources = [...new Set(checks.map(({ source }) => source))];
  const groups = sources.map((source) => {
    const rows = checks.filter((check) => check.source === source).map(row);
    return `<h3>${source === null ? "the snapshot as a whole" : escaped(source)}</h3>\n<ul class="rows">\n${rows.join("\n")}\n</ul>`;
  });
  return `<section>\n<h2>What was tested</h2>\n${groups.join("\n")}\n</section>`;
}

function row({ outcome, name, found, hint, took_ms: took }: Check): string {
  const said = found === "" ? "" : `<div class="small soft">${escaped(found)}</div>`;
  const next = hint === null ? "" : `<div class="small">Next: <code>${escaped(hint)}</code></div>`;
  return `<li class="${outcome}"><span class="mark">${MARKS[outcome]}</span><div class="what">${escaped(name)}${said}${next}</div><span class="time">${inTime(took)}</span></li>`;
}

function notTested({ not_tested: skipped, on }: Evidence): string {
  const rows = skipped.map(({ what, why }) => `<tr><td>${escaped(what)}</td><td>${escaped(why)}</td></tr>`);
  const always = (on === null ? UNTESTED_HERE : UNTESTED_ON_HOST).map(
    ([what, why]) => `<tr><td>${what}</td><td>${why}</td></tr>`,
  );
  const all = [...rows, ...always].join("\n");
  return `<section>\n<h2>What was not tested</h2>\n<table>\n<tr><th>what</th><th>why</th></tr>\n${all}\n</table>\n</section>`;
}

const AS_CAPTURED = [
  "whether the source was right when it was captured",
  "what was captured is what is compared",
] as const;
/** What no drill into a scratch place can tell, said every time. */
const UNTESTED_HERE: readonly (readonly [what: string, why: string])[] = [
  [
    "the services themselves",
    "a drill starts none: a second copy would take part in federation and read the bridge's messages",
  ],
  AS_CAPTURED,
];
/** What a machine without a network cannot tell. */
const UNTESTED_ON_HOST: readonly (readonly [what: string, why: string])[] = [
  ["federation, the bridge's login and its messages", "the machine was cut off, as it must be"],
  AS_CAPTURED,
];

function timeline({ checks, started, ended }: Evidence): string {
  const whole = Math.max(Date.parse(ended) - Date.parse(started), 1);
  const share = (ms: number) => Math.min(100, (ms / whole) * 100).toFixed(2);
  const lines = checks.map(({ source, name, outcome, began_ms: began, took_ms: took }) => {
    const label = escaped(source === null ? name : `${source}: ${name}`);
    const bar = `<i style="left:${share(Math.min(began, whole * 0.995))}%;width:${share(took)}%"></i>`;
    return `<div class="line ${outcome}"><span class="name" title="${label}">${label}</span><span class="track">${bar}</span><span class="time">${inTime(took)}</span></div>`;
  });
  return `<section>\n<h2>Timeline: ${inTime(whole)}</h2>\n${lines.join("\n")}\n</section>`;
}

function remarks({ notes }: Evidence): string {
  if (notes.length === 0) return "";
  const items = notes.map((note) => `<li class="small">${escaped(note)}</li>`);
  return `<section>\n<h2>Remarks</h2>\n<ul>\n${items.join("\n")}\n</ul>\n</section>`;
}

function history(evidence: Evidence, { earlier, zone }: PageContext): string {
  const others = earlier.map((one) => {
    if (one.refused !== undefined) {
      return `<tr><td colspan="6"><strong>refused</strong>: ${escaped(one.refused)}</td></tr>`;
    }
    return historyRow(one.evidence, zone, one.page);
  });
  const broken = missingBefore(evidence, earlier);
  const rows = [historyRow(evidence, zone), ...others].join("\n");
  const headings =
    '<tr><th>drilled</th><th>verdict</th><th class="wide">snapshot</th><th class="number">checks</th><th class="number wide">age</th><th class="number">restore</th></tr>';
  const warning =
    broken === 0
      ? ""
      : `<p class="small"><strong>Evidence is missing in between</strong>: ${broken} ${broken === 1 ? "drill names" : "drills name"} one before that is not here.</p>`;
  return `<section>\n<h2>History</h2>\n<table>\n${headings}\n${rows}\n</table>\n${warning}\n</section>`;
}

function historyRow(
  { started, verdict, snapshot, checks, objectives }: Evidence,
  zone: string,
  page?: string,
): string {
  const passed = checks.filter(({ outcome }) => outcome === "passed").length;
  const { age_ms: age, restore_ms: restore, load_ms: load } = objectives;
  const when =
    page === undefined ? timeOf(started, zone) : `<a href="${escaped(page)}">${timeOf(started, zone)}</a>`;
  const took = restore === null ? "" : inTime(restore + (load ?? 0));
  return `<tr><td>${when}</td><td class="word">${verdict}</td><td class="wide">${timeOf(snapshot.ended, zone)}</td><td class="number">${passed}/${checks.length}</td><td class="number wide">${age === null ? "" : inTime(age)}</td><td class="number">${took}</td></tr>`;
}

/** How many name a drill before them that is not here, the oldest one left out: before it, evidence may have been cleared. */
function missingBefore(evidence: Evidence, earlier: readonly EarlierEvidence[]): number {
  const believed = earlier.flatMap((one) => (one.refused === undefined ? [one] : []));
  const here = new Set(believed.map(({ sha256 }) => sha256));
  const chain = [evidence, ...believed.slice(0, -1).map((one) => one.evidence)];
  return chain.filter(({ previous }) => previous !== null && !here.has(previous)).length;
}

function proof(evidence: Evidence, { sha256, signer }: PageContext): string {
  const file = `${evidence.ended.slice(0, 19).replaceAll(/[-:]/g, "")}Z-${evidence.id}.json`;
  const measured =
    evidence.measured_against === null
      ? "no policy"
      : `the policy ${evidence.measured_against.origin === "file" ? "at hand" : "in the snapshot"} (<code>${evidence.measured_against.sha256}</code>)`;
  return `<section>
<h2>Proof of this page</h2>
<p class="small">The page is made from <code>${escaped(file)}</code> (SHA-256 <code>${sha256}</code>), signed by <code>${escaped(signer)}</code>, made by ${escaped(evidence.tool)}, measured against ${measured}. The page itself is not signed. Check the file, with the drill key's public line in <code>$DRILL_KEY</code>:</p>
<pre><code>printf 'drill %s\\n' "$DRILL_KEY" &gt; allowed
ssh-keygen -Y verify -f allowed -I drill -n drops-evidence-v1 -s ${escaped(file)}.sig &lt; ${escaped(file)}</code></pre>
</section>`;
}

function inTime(ms: number): string {
  return duration(ms / 1000);
}
