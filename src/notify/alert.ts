import type { AlertFailure } from "./report.ts";

/** How a run of a verb ended. */
export interface Outcome {
  readonly event: "success" | "partial" | "failure";
  /** Absent when it was killed. */
  readonly exitCode?: number;
  readonly failure?: AlertFailure;
  /** What makes a trouble the same as last time; the failure's code and what it is about, never a figure. */
  readonly trouble: string;
  /** Whether the next run may cure it without anybody doing anything: a network, a server that was away. */
  readonly mayPass: boolean;
  /** One line about what was done. */
  readonly summary?: string;
  readonly log: readonly string[];
}
