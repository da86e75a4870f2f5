import type { Host } from "../../host/host.ts";
import type { Cancel } from "../../lib/cancel.ts";
import { refused } from "../../lib/errors.ts";
import type { PackPool } from "../../pack/pool.ts";
import type { ReadParts } from "../../restore/choose.ts";
import { openHead } from "../../restore/open-source.ts";
import type { SnapshotRecord } from "../../snapshot/record.ts";
import type { FileListing } from "../../source/files/listing.ts";
import type { Outside } from "../../source/scope.ts";
import { RUNS } from "../journal/runs.ts";
import type { PathSource } from "../plan/groups.ts";
import {
  isSwapped,
  NOTHING_STAGED,
  type Replacement,
  type ReplacementState,
  refusalsOf,
  type Staged,
} from "../run/replacement.ts";
import { checkPaths } from "./check.ts";
import { PathHost } from "./host.ts";
import { mountProblem } from "./layout.ts";
import { ONLY_HINT, OutsideOfPart, unreadIn } from "./outside.ts";
import { planRecord } from "./plan.ts";
import type { PathPart, PathRecord } from "./record.ts";
import { type PartScope, scopeOf } from "./scope.ts";
import { stagePaths } from "./stage.ts";
import { type PartLook, pathState } from "./state.ts";
import type { SurveyedSource } from "./survey.ts";
import { PathTree } from "./tree.ts";

export interface PathReplacementOptions {
  readonly host: Host;
  /** Id of the run. */
  readonly run: string;
  readonly snapshot: SnapshotRecord;
  /** The first names it; the others lie in its paths, or it in theirs, and are swapped with it. */
  readonly sources: readonly PathSource[];
  readonly parts: Pick<ReadParts, "store" | "identities"> & { readonly pool: PackPool };
  /** A directory of this machine. */
  readonly scratch: string;
  /** The run's directory on the host; default: its place below `RUNS`. */
  readonly directory?: string;
}

/** Paths that a restore replaces by those of a snapshot; see docs/guided-restore.md, "On the host". */
export function openPathReplacement(options: PathReplacementOptions): Replacement {
  return new PathReplacement(options);
}

interface Look {
  readonly record: PathRecord | undefined;
  readonly looks: readonly PartLook[];
  readonly state: ReplacementState;
}

class PathReplacement implements Replacement {
  readonly label: string;
  readonly source: string;
  readonly #options: PathReplacementOptions;
  readonly #paths: PathHost;
  readonly #refusals: ReturnType<typeof refusalsOf>;

  constructor(options: PathReplacementOptions) {
    const [first] = options.sources;
    if (!first) throw new RangeError("a replacement of no source");
    this.#options = options;
    this.source = first.record.name;
    this.label = labelOf(first.policy);
    this.#refusals = refusalsOf(this.label);
    this.#paths = new PathHost(options.host, {
      notes: options.directory ?? `${RUNS}/${options.run}`,
      name: `paths-${this.source}.json`,
      what: this.label,
    });
  }

  async state(how: Cancel): Promise<ReplacementState> {
    return (await this.#look(how)).state;
  }

  async stage(how: Cancel & { readonly onBytes?: (bytes: number) => void }): Promise<Staged> {
    const look = await this.#look(how);
    if (look.state === "staged") await this.#putBack(look, how); // a swap may have been broken off
    if (look.record && look.state !== "untouched" && look.state !== "staging")
      return look.record.staged ?? NOTHING_STAGED;
    const { host, run, parts, snapshot, scratch } = this.#options;
    const sources = await this.#openAll(how);
    const paths = this.#paths;
    const record = look.record ?? (await planRecord(sources, { on: paths, run, source: this.source }, how));
    const tree = await PathTree.open(record, sources, how);
    const own = { host, paths: this.#paths, tree, record, again: look.record !== undefined };
    const read = { ...parts, policyName: snapshot.policy, scratch };
    return stagePaths({ ...read, ...own }, { onBytes: () => {}, ...how });
  }

  async check(how: Cancel): Promise<readonly string[]> {
    const { record, state, looks } = await this.#look(how);
    if (record === undefined || state === "staging") throw this.#refusals.notStaged("compare");
    const sources = await this.#openAll(how);
    const tree = await PathTree.open(record, sources, how);
    const places = record.parts.map((part, index): [typeof part, string] => {
      const isBeside = state !== "finished" && looks[index]?.fresh === true;
      return [part, isBeside ? `${part.work}/new-${part.id}` : part.real];
    });
    const databases = sources.filter(({ policy }) => policy.kind === "rocksdb");
    return checkPaths(
      {
        host: this.#options.host,
        tree,
        record,
        places: new Map(places),
        databases: new Set(databases.map(({ policy }) => policy.name)),
        scratch: this.#options.scratch,
      },
      how,
    );
  }

  async swap(how: Cancel): Promise<void> {
    const { record, state, looks } = await this.#look(how);
    if (isSwapped(state)) return;
    if (record === undefined || state !== "staged") throw this.#refusals.notStaged("put in place");
    if (record.parts.length === 0) return this.#paths.note({ ...record, empty: "swapped" }, how);
    for (const [index, part] of record.parts.entries()) {
      if (looks[index]?.old || looks[index]?.absent) continue; // begun: what goes along was noted then
      await this.#paths.noteCarried(part, (await this.#outside(part, how)).outside.movable(), how);
    }
    await this.#paths.act("swap", record, how);
  }

  async unswap(how: Cancel): Promise<void> {
    const look = await this.#look(how);
    if (look.state === "finished") throw this.#refusals.noWayBack();
    await this.#putBack(look, how);
  }

  async discard(how: Cancel): Promise<void> {
    const { record, state } = await this.#look(how);
    if (isSwapped(state)) throw this.#refusals.inPlace();
    if (record) await this.#paths.act("discard", record, how);
  }

  async finish(how: Cancel): Promise<void> {
    const { record, state } = await this.#look(how);
    if (record === undefined || !isSwapped(state)) throw this.#refusals.notInPlace();
    const [only] = await this.onlyInOld(how);
    if (only !== undefined) throw refused(only, ONLY_HINT);
    // from here on there is no way back, whatever of the old is still there
    if (!record.finishing) await this.#paths.note({ ...record, finishing: true }, how);
    await this.#paths.act("finish", record, how);
  }

  async onlyInOld(how: Cancel): Promise<readonly string[]> {
    const { record, state } = await this.#look(how);
    if (record === undefined || state !== "swapped") return [];
    const found: string[] = [];
    for (const part of record.parts) {
      const { outside, old } = await this.#outside(part, how);
      const words = outside.words(await this.#unread(part, old, how));
      if (words !== undefined) found.push(`${part.work}/old-${part.id}, the old ${part.real}, ${words}`);
    }
    return found;
  }

  async #outside(part: PathPart, how: Cancel): Promise<{ outside: OutsideOfPart; old: FileListing }> {
    const { listing, long } = await this.#paths.list("old", part, how);
    return { outside: new OutsideOfPart(this.#scope(part), listing, long), old: listing };
  }

  async #unread(part: PathPart, old: FileListing, how: Cancel): Promise<readonly Outside[]> {
    const incomplete = this.#options.sources.filter(
      ({ record: { name, error } }) => error && part.pieces.some(({ source }) => source === name),
    );
    if (incomplete.length === 0) return [];
    const times = incomplete.map(({ record: { name, captured_at = "" } }): [string, bigint] => [
      name,
      BigInt(Date.parse(captured_at)) * 1_000_000n,
    ]);
    const { listing: place } = await this.#paths.list("place", part, how);
    return unreadIn(this.#scope(part), { old, place }, new Map(times));
  }

  #scope(part: PathPart): PartScope {
    return scopeOf(
      part,
      this.#options.sources.map(({ policy }) => policy),
    );
  }

  async #putBack({ record }: Look, how: Cancel): Promise<void> {
    if (record?.parts.length === 0 && record.empty)
      return this.#paths.note({ ...record, empty: "staged" }, how);
    if (record) await this.#paths.act("unswap", record, how);
  }

  /** Throws safety/refused when something was mounted or unmounted since: what is seen is then something else. */
  async #look(how: Cancel): Promise<Look> {
    const { record, looks, mounts } = await this.#paths.look(how);
    const { run } = this.#options;
    if (record && record.run !== run)
      throw refused(`what was noted of ${this.label} on the host is of another restore, ${record.run}`);
    const state = pathState(record, looks);
    if (state === "finished") return { record, looks, state };
    for (const part of record?.parts ?? []) {
      const problem = mountProblem(part, mounts);
      if (problem !== undefined)
        throw refused(problem, "mount what was mounted when the restore began, then drops restore --resume");
    }
    return { record, looks, state };
  }

  async #openAll(how: Cancel): Promise<SurveyedSource[]> {
    const { parts, snapshot, sources } = this.#options;
    const all = [];
    for (const { record, policy } of sources) {
      const opened = await openHead(parts, snapshot, record, how); // entries are read from the manifest, more than once
      all.push({ opened, policy });
    }
    return all;
  }
}

function labelOf(policy: PathSource["policy"]): string {
  if (policy.kind === "rocksdb") return policy.path;
  const [first = policy.name, ...others] = policy.paths;
  return others.length === 0 ? first : `${first} and ${others.length} more`;
}
