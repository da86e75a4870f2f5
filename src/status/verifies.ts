import { ageSeconds } from "../lib/units.ts";
import { newestVerify, type VerifyEvidence } from "../verify/evidence.ts";
import { coverageOf, RING } from "../verify/rotation.ts";
import type { Status, VerifyLine } from "./report.ts";
import type { Seen } from "./seen.ts";

/** What believed evidence of verifies says: of the last one, and how much of the data was read back by it and those before. */
export function verifiesOf({ verifies, limits, snapshots, now }: Seen): Status["verifies"] {
  const refused = verifies.flatMap(({ file, refused: why }) => (why === undefined ? [] : [{ file, why }]));
  const last = newestVerify(verifies)?.evidence;
  const every = limits.verifyEverySeconds;
  const held = { ...(every === undefined ? {} : { everySeconds: every }), refused };
  if (!last) return { ...held, doubted: [] };
  const found = new Map(last.damage.map(({ key, problem }) => [key, problem]));
  const doubted = snapshots.flatMap(({ record, key, standing }) => {
    const why = standing === "good" ? found.get(key) : undefined;
    return why === undefined ? [] : [{ snapshot: record.id, why }];
  });
  return {
    ...held,
    last: lineOf(last, now),
    coverage: coverageOf(last.covered),
    doubted,
  };
}

function lineOf(evidence: VerifyEvidence, now: Date): VerifyLine {
  const { id, ended, verdict, snapshots, objects, read, damaged_objects: damaged } = evidence;
  return {
    id,
    ended,
    ageSeconds: ageSeconds(ended, now),
    verdict,
    snapshots: snapshots.looked_at,
    objects: objects.looked_for,
    compared: objects.compared,
    ...(objects.checksums_from === null ? {} : { checksumsFrom: objects.checksums_from }),
    ...(read === null
      ? {}
      : { read: { share: read.span / RING, packs: read.packs, bytes: read.bytes, opened: read.opened } }),
    damaged,
  };
}
