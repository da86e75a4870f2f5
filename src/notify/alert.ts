import type { AlertEvent, AlertVerb } from "../policy/notify-schema.ts";

/** What the bodies of all channels are made of; docs/alerts.md describes it, src/notify/report.ts checks it. */
export interface Alert {
  readonly format: "drops-alert-1";
  /** The same whenever this alert is sent again, so that a receiver can tell. */
  readonly id: string;
  readonly event: AlertEvent | "test";
  /** Told before, and still so. */
  readonly reminder: boolean;
  /** One line. */
  readonly title: string;
  /** A few lines. */
  readonly message: string;
  /** 1 to 5 as ntfy counts them; 3 is usual. */
  readonly priority: number;
  readonly tags: readonly string[];
  readonly policy: string;
  /** Absent in a test. */
  readonly verb?: AlertVerb;
  /** The machine that drops ran on. */
  readonly machine: string;
  /** ISO, UTC. */
  readonly at: string;
  readonly started?: string;
  readonly seconds?: number;
  readonly exitCode?: number;
  readonly failure?: AlertFailure;
  /** When it last went well, as far as this machine remembers. */
  readonly lastGood?: string;
  /** When it first failed after that. */
  readonly since?: string;
  /** The last lines of the log, oldest first. */
  readonly log?: string;
}

/** All of it printable: whoever makes it has escaped what is foreign. */
export interface AlertFailure {
  /** A code of src/lib/errors.ts, `bug`, or `killed`. */
  readonly code: string;
  readonly message: string;
  readonly hint?: string | undefined;
}

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
