import { layOut } from "../guided/paths/layout.ts";
import { EMPTY_HOST, planPieces, planRecord } from "../guided/paths/plan.ts";
import { type SurveyedSource, surveySource } from "../guided/paths/survey.ts";
import { PathTree } from "../guided/paths/tree.ts";
import { asCaptured, policyOfTheDay } from "../guided/plan/gather.ts";
import { type Grouped, groupSources, namesOf, type PathGroup } from "../guided/plan/groups.ts";
import type { Cancel } from "../lib/cancel.ts";
import { isFailure } from "../lib/errors.ts";
import type { ReadParts } from "../restore/choose.ts";
import { openHead } from "../restore/open-source.ts";
import type { SnapshotRecord } from "../snapshot/record.ts";
import { type CheckBook, type CheckFinding, couldNotRun, failed } from "./checks.ts";
import type { DrillPolicy } from "./drill-context.ts";

interface GuidedParts extends Pick<ReadParts, "store" | "identities"> {
  readonly book: CheckBook;
  /** What counts where the snapshot holds no policy that this version understands. */
  readonly policy: DrillPolicy | undefined;
}

/**
 * Plan the guided restore of a snapshot by its own policy, as it would be done on a new machine: every source has a place, no two
 * have the same, and every entry lies in one. What only the machine itself can tell is not looked at.
 */
export async function checkGuidedPlan(
  parts: GuidedParts,
  snapshot: SnapshotRecord,
  only: readonly string[],
  how: Cancel,
): Promise<void> {
  const title = { id: "guided-plan", name: "the guided restore can be put together" };
  const work = () =>
    planned(parts, snapshot, only, how).catch((error: unknown) => {
      if (isFailure(error, "safety/refused")) return failed(error.message, error.hint);
      throw error;
    });
  await parts.book.run(title, work, how);
}

async function planned(
  parts: GuidedParts,
  snapshot: SnapshotRecord,
  only: readonly string[],
  how: Cancel,
): Promise<CheckFinding | string> {
  const policy = ((await policyOfTheDay(parts, snapshot, how)) ?? parts.policy)?.policy;
  if (!policy)
    return couldNotRun(
      "the policy in the snapshot does not work with this version of drops",
      "--policy FILE",
    );
  const { sources, capturedPaths } = await asCaptured(parts, snapshot, policy.sources, how);
  const { bootstrap } = policy.restore;
  const grouped = groupSources(sources, snapshot, only, bootstrap, (path) => [capturedPaths[path] ?? path]);
  const lost = grouped.leftOut.filter(({ source }) => {
    const record = snapshot.sources.find(({ name }) => name === source);
    return record?.manifest && record.kind !== "command" && !bootstrap.includes(source);
  });
  if (lost.length > 0) return failed(lost.map(({ source, why }) => `${source}: ${why}`).join("; "));
  const { entries, across } = await planPaths(parts, snapshot, grouped, how);
  if (across !== undefined)
    return failed(across, "exclude the inner one in the other source, then drops backup");
  const names = grouped.groups.map(({ name }) => name).join(", ");
  return grouped.groups.length === 0 ? "there is nothing to restore" : `${names}; ${entries} entries`;
}

/**
 * How many entries would be written, and what of one group lies in a place of another, which is replaced at another time. Throws
 * as planning does: safety/refused, data/damaged.
 */
async function planPaths(
  parts: GuidedParts,
  snapshot: SnapshotRecord,
  { groups }: Grouped,
  how: Cancel,
): Promise<{ readonly entries: number; readonly across: string | undefined }> {
  let entries = 0;
  const wanted = [];
  const groupOf = new Map<string, string>();
  for (const group of groups) {
    if (group.kind !== "paths") continue;
    for (const name of namesOf(group)) groupOf.set(name, group.name);
    const opened = await openAll(parts, snapshot, group, how);
    const record = await planRecord(opened, { on: EMPTY_HOST, run: "drill", source: group.name }, how);
    const pieces = await planPieces(await PathTree.open(record, opened, how), record, how);
    entries += pieces.reduce((sum, { files }) => sum + files, 0);
    for (const source of opened) wanted.push(...(await surveySource(source, how)).wanted);
  }
  for (const { real, pieces } of layOut(wanted, new Map(), ["/"])) {
    const inner = pieces.find(({ source }) => groupOf.get(source) !== groupOf.get(pieces[0]?.source ?? ""));
    if (inner)
      return {
        entries,
        across: `${inner.source} lies in ${real}, which ${pieces[0]?.source} replaces on its own`,
      };
  }
  return { entries, across: undefined };
}

async function openAll(
  { store, identities }: GuidedParts,
  snapshot: SnapshotRecord,
  { sources }: PathGroup,
  how: Cancel,
): Promise<readonly SurveyedSource[]> {
  const all: SurveyedSource[] = [];
  for (const { record, policy } of sources) {
    // entries are read from the manifest, more than once
    all.push({ opened: await openHead({ store, identities }, snapshot, record, how), policy });
  }
  return all;
}
