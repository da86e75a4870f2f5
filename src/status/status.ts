import type { Space } from "../lib/space.ts";
import { ageSeconds } from "../lib/units.ts";
import { spaceInFacts } from "../snapshot/space-facts.ts";
import { concernsOf, stateOf } from "./concerns.ts";
import { drillsOf } from "./drills.ts";
import { destroyOf, proofNotes, recoveryOf } from "./proofs.ts";
import type { ShownSnapshot, SourceStatus, Status } from "./report.ts";
import type { Seen, SeenSnapshot } from "./seen.ts";
import { verifiesOf } from "./verifies.ts";

/** What is worth doing when nothing is wrong. */
const IDLE = "drops restore --date latest --host root@ADDRESS --dry-run";

/**
 * What a person wants to know first of a policy, from what was read of its repository. Pure: nothing is asked here, and
 * ages are by the store's clock.
 */
export function statusOf(seen: Seen): Status {
  const points = seen.snapshots.filter(({ record, standing }) => {
    return standing === "good" && record.state === "complete";
  });
  const [oldest, newest] = [points[0], points.at(-1)];
  const sources = sourcesOf(seen);
  const drills = drillsOf(seen);
  const { policy, store, zone, limits } = seen;
  const facts = {
    policy,
    store,
    zone,
    at: seen.now.toISOString(),
    measuredAgainst: limits.origin,
    restore: {
      points: points.length,
      rpoSeconds: limits.rpoSeconds,
      ...(newest ? { newest: pointOf(newest, seen.now) } : {}),
      ...(oldest ? { oldest: pointOf(oldest, seen.now) } : {}),
    },
    ...failingOf(seen, newest),
    sources,
    partial: partialAfter(seen, newest),
    drills,
    verifies: verifiesOf(seen),
    destroy: destroyOf(seen),
    recoveryKey: recoveryOf(seen),
    clock: { skewSeconds: seen.skewSeconds, allowedSeconds: limits.maxSkewSeconds },
    stored: { ...seen.stored },
    space: spaceOf(seen),
    snapshots: seen.snapshots.filter(({ record }) => record.state !== "checkpoint").map(shown),
    unreadable: seen.unreadable.map(({ key, why }) => ({ key, why })),
    descriptionLost: seen.descriptionLost,
    notes: [...seen.notes, ...proofNotes(seen.proofs)],
  };
  const concerns = concernsOf(facts);
  return { ...facts, state: stateOf(concerns), concerns, next: concerns[0]?.hint ?? IDLE };
}

/** The recovery point: when the source that was captured first was captured. What happened after it is lost. */
function pointOf({ record }: SeenSnapshot, now: Date): NonNullable<Status["restore"]["newest"]> {
  const captured = record.sources.flatMap(({ captured_at }) =>
    captured_at === undefined ? [] : [captured_at],
  );
  const point = [...captured, record.ended].sort()[0] ?? record.ended;
  return { id: record.id, ended: record.ended, point, ageSeconds: ageSeconds(point, now) };
}

/** What a machine remembers counts until there is a restore point of later, whoever made that. */
function failingOf({ failing, now }: Seen, newest: SeenSnapshot | undefined): Pick<Status, "failing"> {
  if (!failing || (newest && newest.record.ended > failing.since)) return {};
  return { failing: { ...failing, ageSeconds: ageSeconds(failing.since, now) } };
}

function sourcesOf({ snapshots, expected, now }: Seen): SourceStatus[] {
  const attempts = snapshots.filter(({ record, standing }) => {
    return record.state !== "checkpoint" && standing !== "quarantined";
  });
  const last = attempts.findLast(({ record }) => record.state === "complete");
  const names = new Set([
    ...(expected ?? last?.record.sources.map(({ name }) => name) ?? []),
    ...attempts.flatMap(({ record }) => record.sources.map(({ name }) => name)),
  ]);
  return [...names].map((name) => sourceOf(name, attempts, expected, now));
}

function sourceOf(
  name: string,
  attempts: readonly SeenSnapshot[],
  expected: readonly string[] | undefined,
  now: Date,
): SourceStatus {
  const of = ({ record }: SeenSnapshot) => record.sources.find((source) => source.name === name);
  const held = attempts.findLast((one) => {
    const outcome = one.standing === "good" ? of(one)?.outcome : undefined;
    return outcome === "stored" || outcome === "unchanged";
  });
  const success = held && of(held);
  const captured = success?.captured_at ?? held?.record.ended;
  return {
    name,
    inPolicy: expected?.includes(name) ?? true,
    ...(held && captured !== undefined
      ? { newest: { snapshot: held.record.id, captured, ageSeconds: ageSeconds(captured, now) } }
      : {}),
    files: success?.files ?? 0,
    bytes: success?.bytes ?? 0,
    ...failedOf(name, attempts),
  };
}

/** What the last attempt at a source did not bring. */
function failedOf(name: string, attempts: readonly SeenSnapshot[]): Pick<SourceStatus, "failed"> {
  const tried = attempts.flatMap(({ record }) =>
    record.sources.flatMap((source) => (source.name === name ? [{ record, source }] : [])),
  );
  const last = tried.at(-1);
  if (!last) return {};
  const { record, source } = last;
  if (source.outcome !== "failed" && !source.error) return {};
  const message = source.error?.message ?? "no reason was recorded";
  const stored = source.outcome === "failed" ? {} : { stored: true as const };
  return { failed: { snapshot: record.id, at: record.ended, message, ...stored } };
}

/** Snapshots of a part that are newer than the newest restore point. */
function partialAfter({ snapshots }: Seen, newest: SeenSnapshot | undefined): Status["partial"] {
  const later = snapshots.filter(({ record, standing }) => {
    const isLater = newest === undefined || record.ended > newest.record.ended;
    return record.state === "partial" && standing === "good" && isLater;
  });
  return later.map(({ record: { id, ended, sources } }) => {
    const failed = sources.filter(({ outcome }) => outcome === "failed").map(({ name }) => name);
    return { id, ended, failed };
  });
}

/** The newest snapshot that is believed tells of the host, whatever it holds. */
function spaceOf({ snapshots, storeSpace }: Seen): Space[] {
  const newest = snapshots.findLast(({ standing }) => standing !== "quarantined");
  const ofHost = spaceInFacts(newest?.record.host ?? {});
  const told = ofHost.map(({ where, ...space }) => ({ where: `${where} of the host`, ...space }));
  return storeSpace ? [...told, storeSpace] : told;
}

function shown({ record, standing: found, settled, why, key }: SeenSnapshot): ShownSnapshot {
  const standing = settled ? "withdrawn" : found;
  const { id, ended, state, sources, stored_bytes: storedBytes } = record;
  const bytes = sources.reduce((sum, source) => sum + (source.bytes ?? 0), 0);
  return { id, key, ended, state, standing, ...(why === undefined ? {} : { why }), bytes, storedBytes };
}
