import type { Cancel } from "../lib/cancel.ts";
import { isFailure } from "../lib/errors.ts";
import type { ListedSnapshot } from "../snapshot/catalog.ts";
import type { SnapshotRecord, SourceRecord } from "../snapshot/record.ts";
import { shownPath } from "../source/files/shown-path.ts";
import type { PackParts } from "./assess-packs.ts";
import { LostChunks } from "./lost-chunks.ts";
import { type OpenSource, openSource, openWithoutList } from "./open-source.ts";
import { type OtherCopies, otherStates } from "./other-copies.ts";
import { type RestorePlan, RestorePlanner } from "./plan.ts";
import type { DamagedFile, SourceDamage } from "./report.ts";
import { damagedFiles, planRest, type Rest } from "./rest-of-files.ts";

export interface SalvageParts extends PackParts {
  readonly say: (line: string) => void;
  /** Every snapshot that is believed, where copies of what is lost may lie. */
  readonly snapshots: readonly ListedSnapshot[];
}

/** What can come back of a source whose objects are hurt: authentic bytes alone, the rest accounted for. */
export interface Salvage {
  readonly opened: OpenSource;
  /** Whole files under their names, the rest of damaged ones under another. */
  readonly plan: RestorePlan;
  readonly damage: SourceDamage;
}

/**
 * Look at everything that a source needs and plan what can be brought back of it. Reads all of its packs, and when
 * something is lost, manifests of other snapshots and the packs in which they have it. Nothing is used that does not have
 * the hash that the source's signed record leads to.
 *
 * @throws DropsError when nothing can come back: its manifest is lost, forged or cannot be believed; key/missing,
 * key/wrong; store failures
 */
export async function salvageSource(
  parts: SalvageParts,
  snapshot: SnapshotRecord,
  source: SourceRecord,
  how: Cancel,
): Promise<Salvage> {
  const { opened, index } = await openAnyhow(parts, snapshot, source, how);
  const whole = new RestorePlanner(source.name);
  for await (const entry of opened.entries) whole.add(entry);
  const { ledger, packs } = await whole.finish(opened.manifest.numbers);
  parts.say(`looking at what can come back of ${source.name}: ${packs.length} packs`);

  const search = new LostChunks(ledger, opened);
  await search.assess(packs, parts, how);
  const copies = await search.replace(otherStates(parts.snapshots, snapshot, source), parts, how);
  const files = await damagedFiles(opened, search, how);
  const plan = await planRest(source.name, opened, search, files, how);
  const rests = [...files.values()].filter(({ as }) => as !== undefined);
  const restBytes = rests.reduce((sum, { size, isLink }) => sum + (isLink ? 0 : size), 0);
  return {
    opened,
    plan,
    damage: {
      ...(index === undefined ? {} : { index }),
      packs: search.lostPacks,
      chunksElsewhere: search.moved,
      chunksLost: search.lost.size,
      wholeFiles: plan.entries - rests.length,
      wholeBytes: plan.bytes - restBytes,
      files: [...files].map(([path, file]) => reported(path, file, copies)),
    },
  };
}

/** The nearest other snapshot that has the source at all, for one of which nothing comes back. */
export function olderState(
  snapshots: readonly ListedSnapshot[],
  snapshot: SnapshotRecord,
  source: SourceRecord,
): SourceDamage["older"] {
  const [nearest] = otherStates(snapshots, snapshot, source);
  return nearest && { snapshot: nearest.snapshot.record.id, ended: nearest.snapshot.record.ended };
}

/** Without its list, where the chunks lie is learnt from other snapshots. */
async function openAnyhow(
  parts: SalvageParts,
  snapshot: SnapshotRecord,
  source: SourceRecord,
  how: Cancel,
): Promise<{ opened: OpenSource; index?: string }> {
  try {
    return { opened: await openSource(parts, snapshot, source, how) };
  } catch (error) {
    if (!isFailure(error, "data/missing", "data/damaged")) throw error;
    const opened = await openWithoutList(parts, snapshot, source, how).catch((second) => {
      throw isFailure(second, "store/missing", "data/missing", "data/damaged") ? error : second;
    });
    return { opened, index: error.message };
  }
}

function reported(path: string, { size, missing, as }: Rest, copies: OtherCopies): DamagedFile {
  const older = copies.files.get(path);
  return {
    path: shownPath(path),
    size,
    missing,
    ...(as === undefined ? {} : { writtenAs: shownPath(as) }),
    ...(older === undefined ? {} : { older }),
  };
}
