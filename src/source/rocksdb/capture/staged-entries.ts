import type { Host } from "../../../host/host.ts";
import type { Cancel } from "../../../lib/cancel.ts";
import type { EntryHead } from "../../../snapshot/entry.ts";
import { fileNumber } from "../formats/file-names.ts";
import type { Proof } from "./evidence.ts";
import type { FrozenReport, StagedFile } from "./report.ts";

/** A file of the proven state, on its way into a snapshot. */
export interface StagedEntry {
  readonly name: string;
  readonly head: EntryHead;
  readonly size: number;
  /** Tables and blob files: RocksDB never changes them once they are listed. */
  readonly immutable: boolean;
  /** The token alone names the content, whatever the modification time says. */
  readonly unique: boolean;
  /** Content that is at hand already; without it the file is read from staging. */
  readonly bytes: Buffer | undefined;
  /** The copy in staging is longer. */
  readonly cut: boolean;
}

/** What is shipped, in ascending order of path bytes. CURRENT is made here: the one on disk may name the next MANIFEST. */
export function stagedEntries(report: FrozenReport, proof: Proof): readonly StagedEntry[] {
  const { accepted, kept } = proof;
  const ids = new Map(accepted.live.tables.map((table) => [table.number, table.uniqueId]));
  const entries: StagedEntry[] = [];
  for (const file of report.files.values()) {
    const small = file.name === "IDENTITY" || file.name.startsWith("OPTIONS-");
    const size = accepted.keep.get(file.name) ?? (small ? file.size : undefined);
    if (size === undefined) continue; // newer than the state, or not needed any more
    const immutable = /\.(?:sst|blob)$/.test(file.name);
    const id = file.name.endsWith(".sst") ? ids.get(fileNumber(file.name)) : undefined;
    const same = immutable ? tokenOf(file, id) : undefined;
    const bytes = kept.get(file.name);
    entries.push({
      name: file.name,
      head: headOf(file, file.name, same),
      size,
      immutable,
      unique: id !== undefined,
      bytes,
      cut: bytes === undefined && size < file.size,
    });
  }
  entries.push(currentOf(report));
  return entries.sort((a, b) => Buffer.compare(a.head.path, b.head.path));
}

/** Copies in staging that are longer than what is proven are cut there, so that they can be streamed as they are. */
export async function cutStagedCopies(
  entries: readonly StagedEntry[],
  stage: string,
  how: Cancel & { readonly host: Host },
): Promise<void> {
  for (const { name, size } of entries.filter((entry) => entry.cut)) {
    await how.host.run(["truncate", "-s", String(size), "--", `${stage}/s/${name}`], how);
  }
}

function tokenOf(file: StagedFile, uniqueId: string | undefined): string {
  return uniqueId === undefined ? `ino:${file.device}:${file.inode}` : `sst:${uniqueId}:${file.size}`;
}

function headOf(file: StagedFile, name: string, same: string | undefined): EntryHead {
  return { path: Buffer.from(name), type: "file", ...file.owner, mtime: file.mtime, same };
}

function currentOf(report: FrozenReport): StagedEntry {
  const manifest = report.files.get(report.manifest) as StagedFile; // the report is refused without it
  const bytes = Buffer.from(`${report.manifest}\n`);
  const head = headOf(manifest, "CURRENT", undefined);
  return { name: "CURRENT", head, size: bytes.length, immutable: false, unique: false, bytes, cut: false };
}
