import { stringify } from "yaml";
import type { LoadedPolicy } from "../../policy/load.ts";
import type { ShownPolicyReport } from "../../policy/report.ts";
import { withoutSecrets } from "../../policy/shown.ts";

export function shownPolicy({ policy, origin, sha256 }: LoadedPolicy): ShownPolicyReport {
  return { origin, sha256, policy: withoutSecrets(policy) };
}

/** YAML that is a policy again, for as long as nothing in it was hidden. */
export function shownPolicyInWords({ origin, policy }: ShownPolicyReport): string {
  return `# ${origin}, with every default filled in\n${stringify(policy, { lineWidth: 100 }).trimEnd()}`;
}
