import { inBytes } from "../../lib/units.ts";
import { counted } from "../../lib/words.ts";
import type { SnapshotLine, SnapshotsReport } from "../../restore/report.ts";
import type { Room } from "../screen.ts";
import { notes, table, when } from "./format.ts";

export function snapshotsInWords(report: SnapshotsReport, { width }: Room = {}): string {
  if (report.snapshots.length === 0) {
    return [`no snapshots of ${report.policy} in ${report.store}`, ...notes(report.notes)].join("\n");
  }
  const rows = report.snapshots.map((snapshot) => row(snapshot, report.zone));
  return [
    table(["ended", "id", "state", "files", "size", "sources"], rows, {
      right: ["files", "size"],
      width,
    }),
    "",
    `${counted(report.snapshots.length, "snapshot")} of ${report.policy} in ${report.store}`,
    ...report.snapshots.flatMap(heldBack),
    ...notes(report.notes),
  ].join("\n");
}

function heldBack({ id, held }: SnapshotLine): string[] {
  return held === undefined ? [] : notes([`${id} is held back: ${held}`]);
}

function row(snapshot: SnapshotLine, zone: string): string[] {
  const failed = snapshot.sources.filter(({ outcome }) => outcome === "failed").map(({ name }) => name);
  const unsigned = snapshot.signature === "trusted" ? "" : ` (signature ${snapshot.signature})`;
  return [
    when(snapshot.ended, zone),
    snapshot.id,
    snapshot.state + unsigned + (snapshot.held === undefined ? "" : " HELD BACK"),
    snapshot.files.toLocaleString("en"),
    inBytes(snapshot.bytes),
    `${snapshot.sources.length - failed.length} of ${snapshot.sources.length}${failed.length > 0 ? `, failed: ${failed.join(", ")}` : ""}`,
  ];
}
