import { startContainer } from "../../host/container.ts";
import type { Host } from "../../host/host.ts";
import type { Cancel } from "../../lib/cancel.ts";
import { DropsError } from "../../lib/errors.ts";
import type { PostgresPolicy } from "../../policy/schema.ts";
import { PostgresClient } from "../../source/postgres/client.ts";

/** Seconds that the server of a container that was just started may take. */
const READY_SECONDS = 60;

/** Where a dump lies while it is loaded: beside the record of its replacement, or in the container that its server runs in. */
export function loadDirectory(
  { policy, run }: { readonly policy: PostgresPolicy; readonly run: string },
  beside: string,
): string {
  return policy.container === undefined ? `${beside}/load` : `/var/tmp/drops-restore-${run}-${policy.name}`;
}

/**
 * A unit that runs a compose project stops the container of its database too, which a restore needs: started again, alone.
 * Nothing happens where it runs, or where the server runs on the host. Throws host/command-failed when there is no such container.
 */
export async function startServer(host: Host, policy: PostgresPolicy, how: Cancel): Promise<void> {
  if (!(await startContainer(host, policy, how))) return;
  const client = new PostgresClient(host, policy);
  const [program = "", ...args] = client.words("pg_isready", ["-q"]);
  const argv = ["sh", "-c", WAIT, "drops-wait", String(READY_SECONDS), program, ...args];
  const { exit } = await client.runAny(argv, how);
  if (exit === 0) return;
  throw new DropsError("source/failed", `the server of ${client.label} does not answer after its start`, {
    hint: `its log: docker logs ${policy.container}, or podman logs ${policy.container}`,
  });
}

const WAIT = `
left=$1
shift
until "$@"; do
  left=$((left - 1))
  [ "$left" -gt 0 ] || exit 1
  sleep 1
done
`;
