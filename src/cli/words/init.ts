import type { InitReport } from "../../backup/report.ts";
import { counted } from "../../lib/words.ts";

export function initInWords(report: InitReport): string {
  return [
    `repository ${report.repositoryId} made in ${report.store} for the policy ${report.policy}`,
    `${counted(report.recoveryObjects.length, "object")} in it explain how to recover with standard tools only`,
    "next: drops backup",
  ].join("\n");
}
