import type { Cancel } from "../../lib/cancel.ts";
import type { Check } from "./check.ts";

export interface OldMachine {
  /** Names or addresses by which the old machine was reached: of the policy's ssh, and of its services. */
  readonly addresses: readonly string[];
  /** Default: 22, 80, 443, 8448 (Matrix federation). */
  readonly ports?: readonly number[];
  /** Name or address of the host that is restored onto: finding that one is no alarm. */
  readonly restoredOnto?: string | undefined;
}

/**
 * Whether the old machine still answers, and what DNS says now. Opens TCP connections and closes them; sends
 * nothing. A refused connection is an answer too: a machine is running there. Proves nothing about a machine that only
 * calls out: a person must say that it is off.
 */
export async function probeOld(_old: OldMachine, _how: Cancel): Promise<readonly Check[]> {
  throw new Error("to come");
}
