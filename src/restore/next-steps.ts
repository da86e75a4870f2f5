import { isFailure } from "../lib/errors.ts";
import { parsePolicy } from "../policy/load.ts";
import type { SourcePolicy } from "../policy/schema.ts";
import type { ManifestHead } from "../snapshot/manifest-head.ts";

/** What is left to do with a restored source, one step a line: drops touches no service. */
export function nextSteps(head: ManifestHead, directory: string): string[] {
  const source = policyOf(head);
  const at = quoted(directory);
  switch (head.kind) {
    case "rocksdb": {
      const place = source?.kind === "rocksdb" ? quoted(source.path) : "the database directory";
      const unit = source?.kind === "rocksdb" && source.unit ? source.unit : "the service";
      return [
        `${head.source}: stop ${unit}, move ${place} aside, put ${at} in its place with the same owner, start it`,
      ];
    }
    case "postgres": {
      const database = source?.kind === "postgres" ? quoted(source.database) : "DATABASE";
      return [
        `${head.source}: psql -d postgres -f ${at}/roles.sql   (roles that exist already are reported and left alone)`,
        `${head.source}: psql -d postgres -v ON_ERROR_STOP=1 -f ${at}/database.sql`,
        `${head.source}: pg_restore --exit-on-error -d ${database} ${at}/database.dump`,
      ];
    }
    case "files":
      return [`${head.source}: compare ${at} with / and copy back what is wanted: cp -a`];
    case "command":
      return source?.kind === "command" && source.restore_hint
        ? [`${head.source}: ${source.restore_hint}`]
        : [];
  }
}

/** As the policy was when the source was captured. An old policy may not be one for this program: then less is said. */
function policyOf(head: ManifestHead): SourcePolicy | undefined {
  try {
    const { policy } = parsePolicy(head.policy_text, `the policy in the snapshot`);
    return policy.sources.find(({ name }) => name === head.source);
  } catch (error) {
    if (isFailure(error, "policy/invalid")) return undefined;
    throw error;
  }
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
