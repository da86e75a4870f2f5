import type { RunbookReport } from "../../paper/report.ts";

export function runbookInWords({ file, text }: RunbookReport): string {
  return file === undefined
    ? text.trimEnd()
    : `wrote ${file}: print it, and keep it off the server and in the bucket`;
}
