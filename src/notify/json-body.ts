import { MOST } from "./bounds.ts";
import type { Alert } from "./report.ts";

/** The documented body. Lines of the log go first when it would be too large: JSON may need several bytes for one. */
export function jsonOf(alert: Alert, fields: Readonly<Record<string, unknown>> = {}): string {
  let lines = alert.log === undefined ? [] : alert.log.split("\n");
  for (;;) {
    const log = alert.log === undefined ? {} : { log: lines.join("\n") };
    const text = JSON.stringify({ ...alert, ...log, ...fields });
    if (lines.length === 0 || Buffer.byteLength(text) <= MOST.json) return text;
    lines = lines.slice(Math.ceil(lines.length / 8));
  }
}
