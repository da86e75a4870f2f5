import type { Cancel } from "../lib/cancel.ts";
import type { DrillContext, DrilledSource, DrillPolicy } from "./drill-context.ts";

/** Whether registration, bridge and homeserver fit together, where the policy says which ones they are. */
export async function checkAppservice(
  { book }: DrillContext,
  policy: DrillPolicy | undefined,
  _sources: readonly DrilledSource[],
  _how: Cancel,
): Promise<void> {
  if (policy?.policy.restore.appservice) book.skip("the bridge's tokens", "not compared by this version");
}
