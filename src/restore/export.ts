import { randomUUID } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Writable } from "node:stream";
import type { Cancel } from "../lib/cancel.ts";
import { DropsError } from "../lib/errors.ts";
import type { PackPool } from "../pack/pool.ts";
import type { ManifestEntry } from "../snapshot/entry.ts";
import type { SnapshotRecord } from "../snapshot/record.ts";
import { shownPath } from "../source/files/shown-path.ts";
import { ByteSink } from "./byte-sink.ts";
import { type ChosenSnapshot, chooseSnapshot, type ReadParts, type SnapshotChoice } from "./choose.ts";
import { lostWith } from "./lost-with.ts";
import { type OpenSource, openSource, wantedSources } from "./open-source.ts";
import { PackReader } from "./pack-reader.ts";
import { type RestorePlan, RestorePlanner } from "./plan.ts";
import { ScratchFile } from "./scratch-file.ts";
import { writeTar, writeWhole } from "./tar-out.ts";

export interface ExportParts extends ReadParts {
  readonly pool: PackPool;
  /** Bytes of content written so far, of how many. */
  readonly onWritten?: (done: number, total: number) => void;
}

export interface ExportResult {
  readonly chosen: ChosenSnapshot;
  readonly form: "file" | "tar";
  /** Written in all. */
  readonly bytes: number;
}

/**
 * Write one file of a source as it is, or a directory, or the whole source, as a tar. A source of one file is that file.
 * Everything is authenticated before it is written; `into` is not ended.
 *
 * @param what `path` is relative to the source, as listed; undefined means the whole source
 * @throws DropsError as `chooseSnapshot`; usage/invalid when there is no such path or it is a link; data/missing, data/damaged
 */
export async function exportEntry(
  parts: ExportParts,
  what: {
    readonly choice: SnapshotChoice;
    readonly source: string;
    readonly path: string | undefined;
    readonly into: Writable;
  },
  how: Cancel,
): Promise<ExportResult> {
  const chosen = await chooseSnapshot(parts, what.choice, how);
  return { chosen, ...(await exportFrom(parts, chosen.snapshot.record, what, how)) };
}

/** The same from a snapshot that was chosen already. */
export async function exportFrom(
  parts: Omit<ExportParts, "zone" | "trust" | "policyName">,
  record: SnapshotRecord,
  what: { readonly source: string; readonly path: string | undefined; readonly into: Writable },
  how: Cancel,
): Promise<Omit<ExportResult, "chosen">> {
  const [source] = wantedSources(record, [what.source]);
  if (!source) throw new Error("a source that is wanted is there");
  const opened = await openSource(parts, record, source, how);
  const selected = await select(opened, what.path === undefined ? undefined : trimmed(what.path), how);
  const plan = await planOf(selected, opened, source.name);
  const form = isOneFile(plan, what.path) ? "file" : "tar";

  await using packs = new PackReader({
    ...parts,
    policyName: record.policy,
    packs: opened.packs,
    ledger: plan.ledger,
    order: plan.packs,
    openScratch: () => ScratchFile.create(join(tmpdir(), `.drops-${randomUUID()}`)),
    lostWith: (pack) => lostWith(plan, pack, source.name),
    signal: how.signal,
  });
  using sink = new ByteSink(what.into, how);
  let done = 0;
  const onBytes = (bytes: number) => {
    done += bytes;
    parts.onWritten?.(done, plan.dataBytes);
  };
  const [file] = plan.files;
  if (form === "file" && file) {
    await writeWhole(file, plan, packs, sink, onBytes);
    await sink.finish();
  } else {
    await writeTar(plan, packs, sink, onBytes);
  }
  return { form, bytes: sink.written };
}

/** The entries at and below a path; hard links to files outside of it become those files. */
async function select(opened: OpenSource, path: Buffer | undefined, how: Cancel): Promise<ManifestEntry[]> {
  const selected: ManifestEntry[] = [];
  for await (const entry of opened.entries) if (isBelow(entry.path, path)) selected.push(entry);
  if (selected.length === 0 && path !== undefined) {
    throw new DropsError(
      "usage/invalid",
      `${opened.record.name} has no ${shownPath(path)} in this snapshot`,
      { hint: `drops ls SNAPSHOT ${opened.record.name}` },
    );
  }
  const here = new Set(selected.map((entry) => entry.path.toString("latin1")));
  const outside = new Set<string>();
  for (const { type, target } of selected) {
    const name = target?.toString("latin1");
    if (type === "hardlink" && name !== undefined && !here.has(name)) outside.add(name);
  }
  return outside.size === 0 ? selected : withTargets(selected, outside, opened, how);
}

/** The first link to a file outside becomes the file, the others link to it. */
async function withTargets(
  selected: readonly ManifestEntry[],
  outside: ReadonlySet<string>,
  opened: OpenSource,
  how: Cancel,
): Promise<ManifestEntry[]> {
  const targets = new Map<string, ManifestEntry>();
  for await (const entry of (await opened.manifest.entries(how)).entries) {
    const name = entry.path.toString("latin1");
    if (outside.has(name)) targets.set(name, entry);
  }
  const placed = new Map<string, Buffer>();
  return selected.map((entry) => {
    const name = entry.target?.toString("latin1") ?? "";
    const target = entry.type === "hardlink" ? targets.get(name) : undefined;
    if (!target) return entry;
    const first = placed.get(name);
    if (first) return { ...entry, target: first };
    placed.set(name, entry.path);
    return { ...target, path: entry.path };
  });
}

async function planOf(
  entries: readonly ManifestEntry[],
  opened: OpenSource,
  source: string,
): Promise<RestorePlan> {
  const planner = new RestorePlanner(source);
  for (const entry of entries) planner.add(entry);
  return planner.finish(opened.manifest.numbers);
}

function isOneFile(plan: RestorePlan, path: string | undefined): boolean {
  if (plan.entries !== 1) return false;
  const [other] = [...plan.links, ...plan.hardLinks];
  if (other && path !== undefined) {
    const target = other.target ? ` to ${shownPath(other.target)}` : "";
    throw new DropsError(
      "usage/invalid",
      `${shownPath(other.path)} is a ${other.type}${target}: it has no content`,
    );
  }
  return plan.files.length === 1;
}

function isBelow(path: Buffer, top: Buffer | undefined): boolean {
  if (top === undefined) return true;
  if (path.length < top.length || !path.subarray(0, top.length).equals(top)) return false;
  return path.length === top.length || path[top.length] === 0x2f;
}

/** Listed paths have no slash around them; a shell's completion may add one. */
function trimmed(path: string): Buffer {
  return Buffer.from(path.replace(/^(\.?\/)+/, "").replace(/\/+$/, ""));
}
