import type { SourcePolicy } from "../policy/schema.ts";
import { type Overlap, refuseOverlap } from "../source/overlap.ts";
import type { CaptureContext, FrozenSource } from "../source/source.ts";

/**
 * A bridge that knows of events which the homeserver lacks breaks; the reverse only repeats messages; and media rows are
 * written before their files. So databases that follow others come first, and files last.
 */
const CAPTURE_ORDER: readonly SourcePolicy["kind"][] = ["postgres", "rocksdb", "files", "command"];

export function inCaptureOrder(sources: readonly SourcePolicy[]): SourcePolicy[] {
  return [...sources].sort((a, b) => CAPTURE_ORDER.indexOf(a.kind) - CAPTURE_ORDER.indexOf(b.kind));
}

/**
 * Throws source/failed when another source holds the same; else as the kind does. Each kind is loaded when a policy has it.
 *
 * @param context with what `overlapsOn` found before, since between the sources nothing may take time
 */
export async function freezeSource(
  source: SourcePolicy,
  context: CaptureContext & { readonly overlaps: readonly Overlap[] },
): Promise<FrozenSource> {
  refuseOverlap(source, context.overlaps);
  switch (source.kind) {
    case "postgres":
      return (await import("../source/postgres/capture.ts")).freezePostgres(source, context);
    case "rocksdb":
      return (await import("../source/rocksdb/capture/capture.ts")).freezeRocksdb(source, context);
    case "files":
      return (await import("../source/files/capture.ts")).freezeFiles(source, context);
    case "command":
      return (await import("../source/command.ts")).freezeCommand(source, context);
  }
}
