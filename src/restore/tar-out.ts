import type { ByteSink } from "./byte-sink.ts";
import type { PackReader } from "./pack-reader.ts";
import { type PlannedEntry, type RestorePlan, tarHeadOf } from "./plan.ts";
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
      await into.write(tarHeader(tarHeadOf(entry), entry.segments));
      await into.write(tarPadding(await writeContent(entry, plan, packs, into, onBytes)));
    }
  }
  await into.write(TAR_END);
  await into.finish();
}

/** The content of a file, holes left out. Answers how many bytes that were. */
export async function writeContent(
  { chunks }: PlannedEntry,
  { ledger }: RestorePlan,
  packs: PackReader,
  into: ByteSink,
  onBytes: (bytes: number) => void,
): Promise<number> {
  let bytes = 0;
  for (const chunk of chunks) {
    await into.write(await packs.read(chunk));
    packs.release(chunk);
    bytes += ledger.sizeOf(chunk);
    onBytes(ledger.sizeOf(chunk));
  }
  return bytes;
}
