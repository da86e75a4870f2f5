import type { DrillCheck } from "./report.ts";

/**
 * `proven`: every check passed. `damaged`: stored data is damaged or missing. `unproven`: a check failed, or could not run.
 */
export type Verdict = "proven" | "damaged" | "unproven";

/** Damage outweighs everything else. Nothing that was checked is nothing that was proven. */
export function verdictOf(checks: readonly Pick<DrillCheck, "outcome">[]): Verdict {
  if (checks.some(({ outcome }) => outcome === "damaged")) return "damaged";
  return checks.length > 0 && checks.every(({ outcome }) => outcome === "passed") ? "proven" : "unproven";
}
