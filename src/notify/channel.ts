import type { Cancel } from "../lib/cancel.ts";
import type { AlertEvent, AlertVerb, ChannelPolicy } from "../policy/notify-schema.ts";
import type { Alert } from "./report.ts";

/** One way to tell somebody. test/contracts/channel.ts holds all kinds to this. */
export interface Channel {
  readonly name: string;
  readonly kind: ChannelPolicy["kind"];
  readonly on: readonly AlertEvent[];
  readonly verbs: readonly AlertVerb[];
  /**
   * Tell it once. Answers what the other side said, in a few words. Throws notify/unreachable where trying again may
   * help and notify/refused where not, and the signal's reason when that was aborted. Nothing that it says or throws holds a
   * secret: of addresses the host alone, of answers nothing but their status.
   */
  deliver(alert: Alert, how: Cancel): Promise<string>;
}
