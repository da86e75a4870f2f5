import { inBytes } from "../../lib/units.ts";
import type { ExportReport } from "../../restore/report.ts";

export function exportInWords(report: ExportReport): string {
  const what = report.path === undefined ? report.source : `${report.path} of ${report.source}`;
  const form = report.form === "tar" ? ", a tar" : "";
  return `${what} from snapshot ${report.snapshot}: ${inBytes(report.bytes)}${form}, authenticated`;
}
