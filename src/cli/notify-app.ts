import type { Cancel } from "../lib/cancel.ts";
import type { Teller } from "../notify/teller.ts";
import type { AlertVerb } from "../policy/notify-schema.ts";
import type { PolicyAccess } from "./app.ts";
import type { NotifyFailedReport, NotifyTestReport } from "./notify-outputs.ts";

/** Alerts of one policy. */
export interface Alerts {
  /** For one run of a verb, from now on. Undefined when the policy names nobody to tell. */
  teller(verb: AlertVerb): Teller | undefined;
  /** Never throws for a channel that cannot be told: that is in the report. Throws usage/invalid where there is none. */
  test(how: { readonly channel: string | undefined } & Cancel): Promise<NotifyTestReport>;
  /** Of a unit that failed, whoever has not heard it of the run itself. */
  failed(how: { readonly unit: string } & Cancel): Promise<NotifyFailedReport>;
}

export interface AlertsAccess extends PolicyAccess {
  /** For what went wrong with an alert: one line. */
  readonly warn: (line: string) => void;
}
