import type { NoteReport } from "../../retention/report.ts";
import { when } from "./format.ts";

export function noteInWords({ action, snapshot, until, why, zone, policy }: NoteReport): string {
  const long = until === undefined || action === "unpinned" ? "" : ` until ${when(until, zone)}`;
  const named = `snapshot ${snapshot.id} of ${policy}, ended ${when(snapshot.ended, zone)}`;
  const then = {
    pinned: "it is kept whatever the rules say",
    unpinned: "the rules decide about it again: drops plan",
    withdrawn: "it fills no slot of the rules any more, and restoring it warns",
  }[action];
  return [`${named}: ${action}${long}`, ...(why === "" ? [] : [`  why: ${why}`]), `  ${then}`].join("\n");
}
