import type { Cancel } from "../lib/cancel.ts";
import { type DropsError, isFailure } from "../lib/errors.ts";
import { type OpenSource, openSource } from "../restore/open-source.ts";
import { RestorePlanner } from "../restore/plan.ts";
import { shownPath } from "../source/files/shown-path.ts";
import type { BlobReader } from "../store/blob-store.ts";
import { manifestKey, packKey } from "../store/keys.ts";
import type { DamageBook } from "./damage-book.ts";
import { hurtBy, type SourceState } from "./needed-objects.ts";
import type { OpenedChunks } from "./read-packs.ts";

/**
 * Open every manifest, read it as a restore would, and look for its chunks in the packs that were opened. What is wrong
 * goes into `damage`. Answers notes.
 */
export async function readManifests(
  states: readonly SourceState[],
  parts: { readonly store: BlobReader; readonly policyName: string; readonly identities: readonly string[] },
  chunks: OpenedChunks,
  damage: DamageBook,
  how: Cancel,
): Promise<string[]> {
  let locked = 0;
  for (const state of states) {
    const failure = await readOne(state, parts, chunks, damage, how).catch(foreseen);
    if (failure?.code === "key/wrong") locked++;
    else if (failure) damage.add(manifestOf(state, parts.policyName), failure.message, hurtBy([state]));
  }
  return locked === 0 ? [] : [`${locked} manifests could not be opened with these identities`];
}

function foreseen(error: unknown): DropsError {
  if (isFailure(error, "key/wrong", "store/missing", "data/missing", "data/damaged")) return error;
  throw error;
}

function manifestOf({ source }: SourceState, policyName: string): string {
  return manifestKey(policyName, source.manifest?.sha256 ?? "");
}

async function readOne(
  state: SourceState,
  parts: { readonly store: BlobReader; readonly policyName: string; readonly identities: readonly string[] },
  chunks: OpenedChunks,
  damage: DamageBook,
  how: Cancel,
): Promise<undefined> {
  const [snapshot] = state.snapshots;
  if (!snapshot) return;
  const opened = await openSource(parts, snapshot.record, state.source, how);
  await readEntries(opened, state, parts.policyName, chunks, damage);
}

async function readEntries(
  opened: OpenSource,
  state: SourceState,
  policyName: string,
  chunks: OpenedChunks,
  damage: DamageBook,
): Promise<void> {
  const planner = new RestorePlanner(state.source.name);
  for await (const entry of opened.entries) {
    planner.add(entry);
    for (const { pack, id, size } of entry.chunks) {
      const name = opened.packs.get(pack)?.sha256 ?? "";
      if (chunks.holds(name, id, size) !== false) continue;
      damage.add(packKey(policyName, name), `lacks chunk ${id} of ${shownPath(entry.path)}`, hurtBy([state]));
    }
  }
  await planner.finish(opened.manifest.numbers);
}
