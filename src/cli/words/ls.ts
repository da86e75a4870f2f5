import { clean } from "../../lib/clean.ts";
import type { LsEntry } from "../../restore/report.ts";
import { when } from "./format.ts";

const LETTERS: Readonly<Record<LsEntry["type"], string>> = {
  file: "-",
  dir: "d",
  symlink: "l",
  hardlink: "h",
  fifo: "p",
};

/** One line an entry, as `ls -l` would: `-0640 alice:users 1234 2026-11-20 02:30:00 +01:00 media/a b.pdf`. */
export function entryInWords(entry: LsEntry, zone: string): string {
  const owner = `${entry.user ?? entry.uid}:${entry.group ?? entry.gid}`;
  const path = entry.path ?? `base64:${entry.pathB64 ?? ""}`;
  const target = entry.target === undefined ? "" : ` -> ${clean(entry.target)}`;
  const size = String(entry.size).padStart(12);
  return `${LETTERS[entry.type]}${entry.mode} ${clean(owner)} ${size} ${when(entry.modified, zone)} ${clean(`${entry.source}/${path}`)}${target}`;
}
