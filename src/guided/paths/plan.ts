import type { Cancel } from "../../lib/cancel.ts";
import { DropsError } from "../../lib/errors.ts";
import { someOf } from "../../lib/words.ts";
import type { OpenSource } from "../../restore/open-source.ts";
import { type RestorePlan, RestorePlanner } from "../../restore/plan.ts";
import type { PathHost } from "./host.ts";
import { layOut, missingAbove, placesOf, workOf } from "./layout.ts";
import { adoptOwner } from "./owners.ts";
import type { Ground } from "./places.ts";
import type { PathPart, PathPiece, PathRecord } from "./record.ts";
import { type SourceSurvey, type SurveyedSource, surveySource } from "./survey.ts";
import type { PathTree } from "./tree.ts";

/** An average file leaves half a block unused. */
const BYTES_PER_FILE = 2048;
const MOST_NAMES = 5;

/** One stream into the directory of one part. */
export interface PlannedPiece {
  readonly part: PathPart;
  readonly piece: PathPiece;
  readonly source: OpenSource;
  readonly plan: RestorePlan;
  /** Entries of its own. */
  readonly files: number;
}

/** What a plan asks of a host. */
export type PlanHost = Pick<PathHost, "probe" | "ground" | "numbers">;

/** A new machine, on which nothing is yet. */
export const EMPTY_HOST: PlanHost = {
  probe: async () => ({ places: new Map(), mounts: ["/"] }),
  ground: async (paths) => paths.map(() => noGround("/")),
  numbers: async () => ({}),
};

/** Decide what goes where on this host; nothing is changed yet. Throws as reading does; safety/refused see `layOut`. */
export async function planRecord(
  sources: readonly SurveyedSource[],
  { on, run, source: group }: { readonly on: PlanHost; readonly run: string; readonly source: string },
  how: Cancel,
): Promise<PathRecord> {
  const surveys: SourceSurvey[] = [];
  for (const source of sources) surveys.push(await surveySource(source, how));
  const wanted = surveys.flatMap((survey) => survey.wanted);
  const { places, mounts } = await on.probe(placesOf(wanted), how);
  const laid = layOut(wanted, places, mounts);
  const grounds = await on.ground(
    laid.map(({ real }) => real),
    how,
  );
  const names = (of: "users" | "groups") => new Set(surveys.flatMap((survey) => [...survey[of]]));
  const [users, groups] = [names("users"), names("groups")];
  const known = {
    users: await on.numbers("passwd", users, how),
    groups: await on.numbers("group", groups, how),
  };
  const parents = missingAbove(
    laid.map(({ real }) => real),
    grounds,
  );
  const notes = [
    ...surveys.flatMap((survey) => survey.notes),
    ...unknownNames(users, known.users, "users"),
    ...unknownNames(groups, known.groups, "groups"),
    ...parents.map((path) => `${path} did not exist and is made`),
  ];
  const parts = laid.map((part, index): PathPart => {
    const [first] = part.pieces;
    const kind = sources.find(({ policy }) => policy.name === first?.source)?.policy.kind ?? "files";
    const owner = first?.wanted.owner ?? { uid: 0, gid: 0, user: undefined, group: undefined };
    const ground = grounds[index] ?? noGround(part.real);
    const adopted = adoptOwner(part, { owner, kind, ground }, known);
    notes.push(...adopted.notes);
    return {
      id: `${group}-${index + 1}`,
      real: part.real,
      work: workOf(part, run),
      mode: part.mode,
      mount: part.mount,
      pieces: part.pieces.map(({ source, from, at }) => ({ source, from, at })),
      adopt: adopted.adopt,
    };
  });
  return {
    drops: "path-replacement",
    version: 1,
    run,
    source: group,
    parts,
    parents: [...parents],
    ...known,
    notes,
  };
}

/** What is written where, piece by piece, outer ones first. Throws data/damaged for entries that cannot be believed. */
export async function planPieces(
  tree: PathTree,
  record: PathRecord,
  how: Cancel,
): Promise<readonly PlannedPiece[]> {
  const planned = new Map<PathPiece, PlannedPiece>();
  for (const source of tree.sources) {
    const planners = new Map<PathPiece, { part: PathPart; planner: RestorePlanner; above: number }>();
    for await (const { part, piece, entry, isAbove } of tree.entries(source, how)) {
      const its = planners.get(piece) ?? { part, planner: new RestorePlanner(source.record.name), above: 0 };
      planners.set(piece, its);
      its.planner.add(entry);
      if (isAbove) its.above++;
    }
    for (const [piece, { part, planner, above }] of planners) {
      const plan = await planner.finish(source.manifest.numbers);
      planned.set(piece, { part, piece, source, plan, files: plan.entries - above });
    }
  }
  return record.parts.flatMap(({ pieces }) => pieces.flatMap((piece) => planned.get(piece) ?? []));
}

/** Throws space/low when a file system of the host has no room for what will be written beside what is there. */
export function requireSpace(
  planned: readonly PlannedPiece[],
  record: PathRecord,
  grounds: readonly Ground[],
): void {
  const needs = new Map<string, { ground: Ground; bytes: number; files: number }>();
  for (const { part, plan, files } of planned) {
    const ground = grounds[record.parts.indexOf(part)] ?? noGround(part.real);
    const its = needs.get(ground.device) ?? { ground, bytes: 0, files: 0 };
    needs.set(ground.device, its);
    its.bytes += plan.dataBytes + files * BYTES_PER_FILE;
    its.files += files;
  }
  for (const { ground, bytes, files } of needs.values()) {
    const { path, freeBytes, freeFiles } = ground;
    if (freeBytes >= bytes && (freeFiles ?? files) >= files) continue;
    const lacks =
      freeBytes < bytes
        ? `room for ${freeBytes} bytes, and ${bytes} are needed beside what is there`
        : `room for ${freeFiles} files, and ${files} are needed beside what is there`;
    throw new DropsError("space/low", `the file system of ${path} has ${lacks}`, {
      hint: `make room on the host (df -h ${path}; df -i ${path}), then drops restore --resume`,
    });
  }
}

function unknownNames(
  names: ReadonlySet<string>,
  known: Readonly<Record<string, number>>,
  what: string,
): readonly string[] {
  const unknown = [...names].filter((name) => !Object.hasOwn(known, name)).sort();
  if (unknown.length === 0) return [];
  return [`${what} that this machine does not know: ${someOf(unknown, { most: MOST_NAMES })}`];
}

function noGround(path: string): Ground {
  return { path, device: "", uid: 0, gid: 0, freeBytes: 0, freeFiles: undefined };
}
