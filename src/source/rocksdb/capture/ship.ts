import { Readable } from "node:stream";
import type { Host } from "../../../host/host.ts";
import type { Cancel } from "../../../lib/cancel.ts";
import { DropsError } from "../../../lib/errors.ts";
import type { ChunkRef, ManifestEntry } from "../../../snapshot/entry.ts";
import type { SourceSink } from "../../source.ts";
import { StageStream } from "./stage-stream.ts";
import type { StagedEntry } from "./staged-entries.ts";

/** After so many files that could not be carried over, the rest is read without asking: each costs a new stream. */
const PATIENCE = 16;

interface ShipContext extends Cancel {
  readonly host: Host;
  readonly stage: string;
  readonly random: () => number;
  readonly rereadShare: number;
}

interface Step {
  readonly entry: StagedEntry;
  /** The previous run's entry with the same content. */
  readonly previous: ManifestEntry | undefined;
  read: boolean;
}

/**
 * Hand every entry to `into`: what the previous snapshot holds is carried over, the rest is read from staging in one
 * stream. Throws data/damaged when a table that was read again differs from what was stored under the same identity.
 */
export async function shipStaged(
  entries: readonly StagedEntry[],
  into: SourceSink,
  how: ShipContext,
): Promise<void> {
  const steps = await plan(entries, into, how);
  await using stream = new StageStream(how);
  let misses = 0;
  for (const [index, step] of steps.entries()) {
    how.signal.throwIfAborted();
    if (!step.read && carryOver(step, into)) continue;
    if (!step.read) {
      readInstead(steps, index, ++misses);
      await stream.close(); // its list lacks what must be read now
    }
    await readOne(steps, index, { stream, into }, how);
  }
  await stream.finish();
}

function carryOver({ entry, previous }: Step, into: SourceSink): boolean {
  return previous !== undefined && into.keep({ ...previous, ...entry.head, size: entry.size });
}

function readInstead(steps: readonly Step[], index: number, misses: number): void {
  const end = misses < PATIENCE ? index + 1 : steps.length;
  for (const step of steps.slice(index, end)) step.read = true;
}

function toRead(steps: readonly Step[]): readonly string[] {
  const missing = steps.filter(({ read, entry }) => read && entry.bytes === undefined);
  return missing.map(({ entry }) => entry.name);
}

async function readOne(
  steps: readonly Step[],
  index: number,
  { stream, into }: { readonly stream: StageStream; readonly into: SourceSink },
  how: ShipContext,
): Promise<void> {
  const { entry, previous } = steps[index] as Step;
  if (entry.bytes === undefined && !stream.isOpen) await stream.open(toRead(steps.slice(index)));
  const data = entry.bytes === undefined ? await stream.next(entry) : Readable.from([entry.bytes]);
  const cutting = entry.immutable ? "fixed" : "content";
  const stored = await into.file(entry.head, data, { signal: how.signal, cutting });
  if (stored.size !== entry.size) {
    throw new DropsError("source/failed", `${entry.name} gave ${stored.size} bytes instead of ${entry.size}`);
  }
  if (previous !== undefined) compare(entry, previous.chunks, stored.chunks);
}

async function plan(
  entries: readonly StagedEntry[],
  into: SourceSink,
  how: ShipContext,
): Promise<readonly Step[]> {
  const steps: Step[] = [];
  const previous = into.previous()[Symbol.asyncIterator]();
  let old = await previous.next();
  for (const entry of entries) {
    while (old.done !== true && Buffer.compare(old.value.path, entry.head.path) < 0)
      old = await previous.next();
    const same = old.done !== true && isSame(entry, old.value) ? old.value : undefined;
    steps.push({ entry, previous: same, read: same === undefined || how.random() < how.rereadShare });
  }
  await previous.return?.();
  return steps;
}

function isSame(entry: StagedEntry, old: ManifestEntry): boolean {
  return (
    entry.head.same !== undefined &&
    entry.head.same === old.same &&
    entry.head.path.equals(old.path) &&
    entry.size === old.size &&
    (entry.unique || entry.head.mtime === old.mtime)
  );
}

/** Cuts at other places compare nothing; equal cuts with other content mean that an immutable file has changed. */
function compare(entry: StagedEntry, before: readonly ChunkRef[], now: readonly ChunkRef[]): void {
  const comparable =
    before.length === now.length && before.every((chunk, at) => chunk.size === now[at]?.size);
  if (!comparable || before.every((chunk, at) => chunk.id === now[at]?.id)) return;
  throw new DropsError(
    "data/damaged",
    `${entry.name} changed on the host, but table files must never change`,
    {
      hint: "check the disk of the host; the previous snapshot has the table from before",
    },
  );
}
