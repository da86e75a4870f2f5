import type { Host } from "../../host/host.ts";
import type { Cancel } from "../../lib/cancel.ts";

/** `restore.units` of the policy: what must hold before a unit counts as ready. Everything that is given must. */
export interface ReadyRule {
  readonly unit: string;
  readonly ready?:
    | {
        /** A loopback address, asked on the host; 2xx is ready. */
        readonly http?: string | undefined;
        /** Active for that long without a restart; `20s`. */
        readonly active_for?: string | undefined;
        /** Run on the host; exit status 0 is ready. */
        readonly command?: readonly string[] | undefined;
        /** How long to wait at most; default `5m`. */
        readonly within?: string | undefined;
      }
    | undefined;
  /** What an exit status of the unit means. */
  readonly exits?: Readonly<Record<number, string>> | undefined;
}

export interface Readiness {
  readonly ready: boolean;
  readonly seconds: number;
  /** In words. */
  readonly found: string;
  readonly hint?: string;
  /** The unit's last lines in the host's journal when it is not ready: to be shown, not kept, since a service may log secrets. */
  readonly log: readonly string[];
}

/**
 * Wait for a started unit. Ends early when it failed for good, or ended three times with a status that is in
 * `exits`. Not being ready is an answer, not a failure. Throws policy/invalid when `http` is not a loopback address.
 */
export async function waitReady(_host: Host, _rule: ReadyRule, _how: Cancel): Promise<Readiness> {
  throw new Error("to come");
}
