import type { Evidence } from "../drill/evidence.ts";
import { ageSeconds } from "../lib/units.ts";
import type { DrillLine, Status } from "./report.ts";
import type { Seen } from "./seen.ts";

const MOST_LINES = 30;
const RESTORED = /(^|\/)restore$/;

/** What believed evidence says: the last drill, the last that proved everything, and when an identity last opened packs. */
export function drillsOf({ evidence, limits, now }: Seen): Status["drills"] {
  const believed = evidence.flatMap((one) => (one.refused === undefined ? [one.evidence] : []));
  const refused = evidence.flatMap((one) =>
    one.refused === undefined ? [] : [{ file: one.file, why: one.refused }],
  );
  const lines = believed.map((one) => lineOf(one, now));
  const last = lines[0];
  const proven = lines.find(({ verdict, whole }) => verdict === "proven" && whole);
  const opened = believed.find(({ checks }) =>
    checks.some(({ id, outcome }) => outcome === "passed" && RESTORED.test(id)),
  );
  return {
    everySeconds: limits.drillEverySeconds,
    count: believed.length,
    ...(last ? { last } : {}),
    ...(proven ? { proven } : {}),
    ...(opened ? { opened: opened.ended } : {}),
    lines: lines.slice(0, MOST_LINES),
    refused,
    newestRefused: evidence[0]?.refused !== undefined,
  };
}

function lineOf({ id, ended, verdict, whole, snapshot, checks, on }: Evidence, now: Date): DrillLine {
  return {
    id,
    ended,
    ageSeconds: ageSeconds(ended, now),
    verdict,
    whole,
    snapshot: snapshot.id,
    passed: checks.filter(({ outcome }) => outcome === "passed").length,
    checks: checks.length,
    ...(on === null ? {} : { on }),
    ...failedOf(verdict, checks),
  };
}

/** Of several the first that made the verdict what it is. */
function failedOf(verdict: DrillLine["verdict"], checks: Evidence["checks"]): Pick<DrillLine, "failed"> {
  if (verdict === "proven") return {};
  const found = checks.find(({ outcome }) =>
    verdict === "damaged" ? outcome === "damaged" : outcome !== "passed",
  );
  if (!found) return {};
  const hint = found.hint === null ? {} : { hint: found.hint };
  return { failed: { check: found.id, found: found.found, ...hint } };
}
