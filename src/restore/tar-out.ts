import type { DataSegment } from "../source/files/tar-sparse.ts";
import type { ByteSink } from "./byte-sink.ts";
import type { PackReader } from "./pack-reader.ts";
import { type PlannedEntry, type RestorePlan, tarHeadOf } from "./plan.ts";
import { regionsOf } from "./sparse-regions.ts";
import { TAR_END, tarHeader, tarPadding } from "./tar-writer.ts";

/** A plan as a tar stream, in the plan's order. `onBytes` runs after each chunk with its size. */
export async function writeTar(
  plan: RestorePlan,
  packs: PackReader,
  into: ByteSink,
  onBytes: (bytes: number) => void,
): Promise<void> {
  for (const shelf of [plan.directories, plan.files, plan.links, plan.hardLinks]) {
    for (const entry of shelf) {
      await into.write(tarHeader(tarHeadOf(entry), entry.segments && regionsOf(entry.segments).regions));
      await into.write(tarPadding(await writeContent(entry, plan, packs, into, onBytes)));
    }
  }
  await into.write(TAR_END);
  await into.finish();
}

/**
 * The content of a file, holes left out but for the zeros that make regions whole blocks. Answers how many bytes that
 * were.
 */
export async function writeContent(
  { chunks, segments }: PlannedEntry,
  { ledger }: RestorePlan,
  packs: PackReader,
  into: ByteSink,
  onBytes: (bytes: number) => void,
): Promise<number> {
  const fillAfter = segments && fillsByEnd(segments);
  let bytes = 0;
  let data = 0;
  for (const chunk of chunks) {
    const size = ledger.sizeOf(chunk);
    await into.write(await packs.read(chunk));
    packs.release(chunk);
    data += size;
    const fill = fillAfter?.get(data) ?? 0;
    await into.write(ZEROS.subarray(0, fill));
    bytes += size + fill;
    onBytes(size);
  }
  return bytes;
}

/** The content of a file as it is read: holes are zeros. */
export async function writeWhole(
  { chunks, segments }: PlannedEntry,
  { ledger }: RestorePlan,
  packs: PackReader,
  into: ByteSink,
  onBytes: (bytes: number) => void,
): Promise<void> {
  const holesBefore = new Map<number, number>();
  let data = 0;
  let end = 0;
  for (const segment of segments ?? []) {
    holesBefore.set(data, segment.offset - end);
    data += segment.size;
    end = segment.offset + segment.size;
  }
  let at = 0;
  const fill = async () => {
    for (let left = holesBefore.get(at) ?? 0; left > 0; left -= ZEROS.length)
      await into.write(ZEROS.subarray(0, left));
    holesBefore.delete(at);
  };
  for (const chunk of chunks) {
    await fill();
    await into.write(await packs.read(chunk));
    packs.release(chunk);
    at += ledger.sizeOf(chunk);
    onBytes(ledger.sizeOf(chunk));
  }
  await fill();
}

const ZEROS = Buffer.alloc(64 * 1024);

/** How many zeros follow when so many bytes of data have been written. */
function fillsByEnd(segments: readonly DataSegment[]): ReadonlyMap<number, number> {
  const { fills } = regionsOf(segments);
  const byEnd = new Map<number, number>();
  let data = 0;
  segments.forEach(({ size }, at) => {
    data += size;
    if (size > 0) byEnd.set(data, fills[at] ?? 0);
  });
  return byEnd;
}
