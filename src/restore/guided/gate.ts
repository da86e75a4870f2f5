import type { Host } from "../../host/host.ts";
import type { Cancel } from "../../lib/cancel.ts";

/** What keeps units from starting while their data is being replaced: a file, and a condition on it in every unit. */
export interface GateWhat {
  /** Absolute; `restore.gate` of the policy. */
  readonly file: string;
  readonly units: readonly string[];
}

export interface ClosedGate {
  /** Whether it also holds after a reboot. */
  readonly durable: boolean;
  /** What the operator should know. */
  readonly notes: readonly string[];
}

/** Every verb looks first and does what is left: call them again, in any order, after any crash. */
export class Gate {
  constructor(_host: Host, _what: GateWhat) {}

  /** Whether no unit of it can start: the file is there, and systemd has the condition in every unit, as loaded now. */
  async isClosed(_how: Cancel): Promise<boolean> {
    throw new Error("to come");
  }

  /**
   * Resolves when the file is on disk and systemd itself says that every unit has the condition. Running units keep running.
   * Throws host/command-failed when that cannot be reached; then the file stays.
   */
  async close(_how: Cancel): Promise<ClosedGate> {
    throw new Error("to come");
  }

  /** Remove the file, then the drop-ins that `close` wrote, and nothing else. Starts nothing. */
  async open(_how: Cancel): Promise<void> {
    throw new Error("to come");
  }
}
