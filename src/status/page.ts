import { inBytes } from "../lib/units.ts";
import { rough } from "../lib/words.ts";
import { escaped } from "../page/escape.ts";
import { item, meter, numberOf, page, timeOf } from "../page/page.ts";
import { PAGE_STYLE } from "../page/style.ts";
import { calendarOf, type Day, type Month } from "./calendar.ts";
import { STATUS_STYLE } from "./page-style.ts";
import type { DrillLine, ShownSnapshot, SourceStatus, State, Status } from "./report.ts";

/** Snapshots that are listed one by one, the newest ones. */
const MOST_ROWS = 60;

/** The status as one page that needs nothing else: it may load nothing, runs no script, and every foreign word is escaped. */
export function pageOf(status: Status): string {
  const parts = [
    head(status),
    questions(status),
    sources(status),
    calendar(status),
    drills(status),
    snapshots(status),
    doubtful(status),
    remarks(status),
  ];
  return page({
    title: `Backups of ${status.policy}: ${status.state}`,
    style: `${PAGE_STYLE}${STATUS_STYLE}`,
    body: `<main>\n${parts.join("\n")}\n</main>`,
  });
}

const HEADLINES: Readonly<Record<State, string>> = {
  green: "✓ Backups are there, young and whole",
  amber: "! Backups are there, and not everything was tried yet",
  unproven: "! Backups are there, and not proven",
  late: "✗ Backups are late",
  broken: "✗ Backups are broken",
};
const TONES: Readonly<Record<State, string>> = {
  green: "proven",
  amber: "unproven",
  unproven: "unproven",
  late: "damaged",
  broken: "damaged",
};

function head({ state, policy, store, at, zone, concerns, next }: Status): string {
  const items = concerns.map(
    ({ what, hint }) => `<li>${escaped(what)}<br><span class="fix">fix: ${escaped(hint)}</span></li>`,
  );
  const list = items.length === 0 ? "" : `<ul class="concerns">\n${items.join("\n")}\n</ul>\n`;
  return `<header class="${TONES[state]}">
<h1>${HEADLINES[state]}</h1>
<p>${escaped(policy)} in ${escaped(store)}, looked at ${timeOf(at, zone)}</p>
${list}<p>Next: <code>${escaped(next)}</code></p>
</header>`;
}

function questions(status: Status): string {
  const { restore, drills: drilled, destroy, recoveryKey, clock, stored, zone } = status;
  const { newest, oldest, points, rpoSeconds } = restore;
  const point = newest
    ? `yes, to ${timeOf(newest.point, zone)}, ${rough(newest.ageSeconds)} of ${rough(rpoSeconds)} old${meter(newest.ageSeconds, rpoSeconds)}`
    : "<strong>no</strong>: there is no complete, undamaged, trusted snapshot";
  const back = oldest
    ? `to ${timeOf(oldest.point, zone)}; ${points} restore ${points === 1 ? "point" : "points"}`
    : "nowhere";
  const { proven, everySeconds, opened } = drilled;
  const last = proven
    ? `${timeOf(proven.ended, zone)}, by drill <code>${escaped(proven.id)}</code>, ${rough(proven.ageSeconds)} of ${rough(everySeconds)} old${meter(proven.ageSeconds, everySeconds)}`
    : "never: no trusted drill has proven every source";
  const skew = Math.abs(clock.skewSeconds);
  const clocks =
    skew < 2
      ? "agree"
      : `this machine is ${rough(skew)} ${clock.skewSeconds > 0 ? "ahead of" : "behind"} the store`;
  const parts = [
    item("Can I restore?", point),
    item("How far back?", back),
    item("Last proven", last),
    item("Last verified", verified(status)),
    item(
      "Recovery key last proven",
      `${recoveryKey.at === undefined ? "" : `${timeOf(recoveryKey.at, zone)}: `}${escaped(recoveryKey.why)}; an identity of drills opened a backup ${opened === undefined ? "never" : timeOf(opened, zone)}`,
    ),
    item("Who can destroy it?", escaped(destroy.why)),
    item("Stored", `${inBytes(stored.bytes)} in ${numberOf(stored.objects)} objects`),
    item("Clocks", clocks),
  ];
  return `<section>\n<h2>First questions</h2>\n<dl class="grid">\n${parts.join("\n")}\n</dl>\n</section>`;
}

function verified({ verifies, zone }: Status): string {
  const { last, coverage, everySeconds, refused } = verifies;
  const doubts = refused
    .slice(0, 3)
    .map(({ why }) => `<br><strong>not trusted</strong>: ${escaped(why)}`)
    .join("");
  if (!last || !coverage) return `never: no verify has published trusted evidence${doubts}`;
  const { ended, ageSeconds, damaged, checksumsFrom } = last;
  const found =
    damaged === 0 ? "nothing damaged" : `<strong class="wrong">${numberOf(damaged)} damaged</strong>`;
  const how = checksumsFrom === undefined ? "names and sizes" : "checksums";
  const limit = everySeconds === undefined ? "" : ` of ${rough(everySeconds)}`;
  const read =
    coverage.since === undefined
      ? `${Math.floor(coverage.share * 100)} % of the data read back so far`
      : `all data read back since ${timeOf(coverage.since, zone)}`;
  const bar = everySeconds === undefined ? "" : meter(ageSeconds, everySeconds);
  return `${timeOf(ended, zone)}, ${rough(ageSeconds)}${limit} old: ${found}, by ${how}; ${read}${doubts}${bar}`;
}

function sources({ sources: all, zone }: Status): string {
  const rows = all.map((source) => sourceRow(source, zone));
  return `<section>
<h2>Sources</h2>
<table class="sources">
<tr><th>source</th><th>newest success</th><th class="number wide">files</th><th class="number">size</th></tr>
${rows.join("\n")}
</table>
</section>`;
}

function sourceRow({ name, inPolicy, newest, files, bytes, failed }: SourceStatus, zone: string): string {
  const outside = inPolicy ? "" : ' <span class="soft">(not in the policy)</span>';
  const age = newest
    ? `${timeOf(newest.captured, zone)}<br><span class="soft">${rough(newest.ageSeconds)} old</span>`
    : '<strong class="wrong">never</strong>';
  const why = failed
    ? `<br><span class="wrong">${failed.stored ? "incomplete" : "failed"} ${timeOf(failed.at, zone)}: ${escaped(failed.message)}</span>`
    : "";
  const held = newest ? [numberOf(files), inBytes(bytes)] : ["", ""];
  return `<tr><td>${escaped(name)}${outside}</td><td>${age}${why}</td><td class="number wide">${held[0]}</td><td class="number">${held[1]}</td></tr>`;
}

function calendar({ snapshots: all, at, zone }: Status): string {
  const months = calendarOf(all, new Date(at), zone).map(month);
  const legend = (["good", "partial", "bad", "none"] as const).map((mark) => {
    return `<span class="day is-${mark}">${MARKS[mark][0]}</span> ${MARKS[mark][1]}`;
  });
  return `<section>
<h2>Snapshots by day</h2>
<div class="months">
${months.join("\n")}
</div>
<p class="legend small soft">${legend.join(" &nbsp; ")}</p>
</section>`;
}

/** Seen without colour too. */
const MARKS = {
  good: ["✓", "complete"],
  partial: ["◐", "a part"],
  bad: ["✗", "not to be counted on"],
  none: ["·", "nothing"],
  ahead: ["", ""],
} as const;

function month({ month: name, before, days }: Month): string {
  const empty = '<span class="day is-ahead"></span>'.repeat(before);
  return `<div class="month"><h3>${name}</h3><div class="days">${empty}${days.map(cell).join("")}</div></div>`;
}

function cell({ day, mark, count, storedBytes }: Day): string {
  const said =
    count === 0 ? MARKS[mark][1] : `${MARKS[mark][1]}; ${count} in all, ${inBytes(storedBytes)} new`;
  const label = mark === "ahead" ? day : `${day}: ${said}`;
  return `<span class="day is-${mark}" title="${label}"><b>${Number(day.slice(8))}</b>${MARKS[mark][0]}</span>`;
}

function drills({ drills: { lines, refused }, zone }: Status): string {
  const rows = lines.map((line) => drillRow(line, zone));
  const doubts = refused.slice(0, 20).map(({ why }) => {
    return `<tr><td colspan="4"><strong>not trusted</strong>: ${escaped(why)}</td></tr>`;
  });
  if (rows.length + doubts.length === 0) {
    return "<section>\n<h2>Drills</h2>\n<p>No drill has published evidence: <code>drops drill --evidence DIRECTORY --publish</code></p>\n</section>";
  }
  return `<section>
<h2>Drills</h2>
<table>
<tr><th>drilled</th><th>verdict</th><th class="number">checks</th><th class="wide">snapshot</th></tr>
${[...rows, ...doubts].join("\n")}
</table>
</section>`;
}

function drillRow({ ended, verdict, whole, passed, checks, snapshot, on }: DrillLine, zone: string): string {
  const part = whole ? "" : ", a part";
  const where = on === undefined ? "" : ` on ${escaped(on)}`;
  const tone = verdict === "proven" ? "" : ' class="wrong"';
  return `<tr><td>${timeOf(ended, zone)}</td><td${tone}>${verdict}${part}${where}</td><td class="number">${passed}/${checks}</td><td class="wide"><code>${escaped(snapshot)}</code></td></tr>`;
}

function snapshots({ snapshots: all, zone }: Status): string {
  const largest = Math.max(1, ...all.map(({ storedBytes }) => storedBytes));
  const rows = all
    .slice(-MOST_ROWS)
    .toReversed()
    .map((one) => snapshotRow(one, largest, zone));
  const more =
    all.length > MOST_ROWS ? `<p class="small soft">and ${all.length - MOST_ROWS} older ones</p>` : "";
  return `<section>
<h2>Sizes</h2>
<table class="sizes">
<tr><th>snapshot</th><th>state</th><th class="number wide">size</th><th class="number">new in the store</th></tr>
${rows.join("\n")}
</table>
${more}
</section>`;
}

function snapshotRow(one: ShownSnapshot, largest: number, zone: string): string {
  const { id, ended, state, standing, bytes, storedBytes } = one;
  const standingWord = standing === "good" ? "" : `, <span class="wrong">${standing}</span>`;
  const share = ((storedBytes / largest) * 100).toFixed(1);
  return `<tr><td>${timeOf(ended, zone)}<br><code class="soft">${escaped(id)}</code></td><td>${state}${standingWord}</td><td class="number wide">${inBytes(bytes)}</td><td class="number">${inBytes(storedBytes)}<div class="meter"><i style="width:${share}%"></i></div></td></tr>`;
}

function doubtful({ unreadable, snapshots: all }: Status): string {
  const records = unreadable.slice(0, 50).map(({ key, why }) => [key, why] as const);
  const others = all.flatMap(({ key, standing, why }) =>
    standing === "good" ? [] : [[key, `${standing}: ${why ?? ""}`] as const],
  );
  const rows = [...records, ...others.slice(-50)].map(([key, why]) => {
    return `<tr><td><code>${escaped(key)}</code></td><td>${escaped(why)}</td></tr>`;
  });
  if (rows.length === 0) return "";
  return `<section>\n<h2>Not to be counted on</h2>\n<table>\n<tr><th>record</th><th>why</th></tr>\n${rows.join("\n")}\n</table>\n</section>`;
}

function remarks({ notes }: Status): string {
  if (notes.length === 0) return "";
  const items = notes.map((note) => `<li class="small">${escaped(note)}</li>`);
  return `<section>\n<h2>Remarks</h2>\n<ul>\n${items.join("\n")}\n</ul>\n</section>`;
}
