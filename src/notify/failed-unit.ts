import type { Cancel } from "../lib/cancel.ts";
import { ALERT_VERBS, type AlertVerb } from "../policy/notify-schema.ts";
import type { Outcome } from "./alert.ts";
import type { Book } from "./book.ts";
import type { Delivery } from "./report.ts";
import { openBook, type TellParts, tell } from "./tell.ts";

/** What systemd says of a unit to what it starts by OnFailure= (systemd.exec(5), MONITOR_…); absent when it says nothing. */
export interface Death {
  readonly unit: string;
  readonly result: string | undefined;
  /** `exited`, `killed`, `dumped`. */
  readonly code: string | undefined;
  /** An exit status or the name of a signal. */
  readonly status: string | undefined;
}

/** Which job of the policy it is: `drops-backup@ops.service`, or `drops-backup-ops.service` as NixOS names it. */
export function unitOf(name: string, policy: string): { readonly verb: AlertVerb } | undefined {
  const verb = ALERT_VERBS.find((each) => {
    return name === `drops-${each}@${policy}.service` || name === `drops-${each}-${policy}.service`;
  });
  return verb && { verb };
}

/**
 * Tell of a run that failed whoever has not heard it of the run itself: everybody when it was killed, nobody when it could
 * tell them all.
 */
export async function tellOfDeath(
  parts: TellParts,
  death: Death & { readonly log: readonly string[] },
  how: Cancel,
): Promise<{ readonly byItself: boolean; readonly deliveries: readonly Delivery[] }> {
  const book = await openBook(parts);
  const own = ownWords(book, parts.invocation);
  const pinged = new Set(own ? book.run?.pinged : []);
  const outcome = own ? { ...own, log: death.log } : killed(death);
  const channels = parts.channels.filter(({ name }) => !pinged.has(name));
  const limits = { limitMs: parts.limitMs, signal: how.signal };
  const deliveries = await tell({ ...parts, channels }, { book, outcome }, limits);
  return { byItself: own !== undefined, deliveries };
}

/** What the run that systemd speaks of wrote down of its own end. */
function ownWords({ run, trouble }: Book, invocation: string | undefined): Omit<Outcome, "log"> | undefined {
  if (!trouble || trouble.key === "") return undefined;
  if (invocation === undefined || run?.invocation !== invocation) return undefined;
  const { event, key, mayPass, exitCode, failure } = trouble;
  return {
    event,
    trouble: key,
    mayPass,
    ...(exitCode !== undefined && { exitCode }),
    ...(failure && { failure }),
  };
}

function killed({ unit, result, code, status, log }: Death & { readonly log: readonly string[] }): Outcome {
  const exited = code === "exited";
  const how = exited ? `exit status ${status ?? "?"}` : status === undefined ? "" : `signal ${status}`;
  const why = [result, how].filter((word) => word !== undefined && word !== "").join(", ");
  const exitCode = exited && /^\d+$/.test(status ?? "") ? Number(status) : undefined;
  return {
    event: "failure",
    ...(exitCode !== undefined && { exitCode }),
    failure: {
      code: "killed",
      message: `${unit} ended without telling why${why === "" ? "" : `: ${why}`}`,
      hint: `journalctl -u ${unit}`,
    },
    trouble: `killed ${result ?? ""} ${status ?? ""}`.trim(),
    mayPass: false,
    log,
  };
}
