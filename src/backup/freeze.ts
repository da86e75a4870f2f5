import type { SourcePolicy } from "../policy/schema.ts";
import { freezeCommand } from "../source/command.ts";
import { freezeFiles } from "../source/files/capture.ts";
import { freezePostgres } from "../source/postgres/capture.ts";
import { freezeRocksdb } from "../source/rocksdb/capture.ts";
import type { CaptureContext, FrozenSource } from "../source/source.ts";

/**
 * A bridge that knows of events which the homeserver lacks breaks; the reverse only repeats messages; and media rows are
 * written before their files. So databases that follow others come first, and files last.
 */
const CAPTURE_ORDER: readonly SourcePolicy["kind"][] = ["postgres", "rocksdb", "files", "command"];

export function inCaptureOrder(sources: readonly SourcePolicy[]): SourcePolicy[] {
  return [...sources].sort((a, b) => CAPTURE_ORDER.indexOf(a.kind) - CAPTURE_ORDER.indexOf(b.kind));
}

export function freezeSource(source: SourcePolicy, context: CaptureContext): Promise<FrozenSource> {
  switch (source.kind) {
    case "postgres":
      return freezePostgres(source, context);
    case "rocksdb":
      return freezeRocksdb(source, context);
    case "files":
      return freezeFiles(source, context);
    case "command":
      return freezeCommand(source, context);
  }
}
