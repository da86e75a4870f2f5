import { inContainer } from "../host/container.ts";
import type { Container } from "../host/containers.ts";
import type { Host } from "../host/host.ts";
import { ANY_EXIT } from "../host/run-to-end.ts";
import type { Cancel } from "../lib/cancel.ts";
import { isFailure } from "../lib/errors.ts";
import type { PostgresPlace } from "../source/postgres/client.ts";

/** As Docker's image: the superuser is who this names. The server answers on the socket alone. */
const WHO = `psql -X -A -t -w -U "\${POSTGRES_USER:-postgres}" -d postgres -c "SELECT current_user"`;
const WITHIN_MS = 30_000;

/** How the PostgreSQL server of a container is asked; undefined when it has none that answers its own superuser. */
export async function serverIn(
  host: Host,
  container: Container,
  how: Cancel,
): Promise<PostgresPlace | undefined> {
  if (!container.runs) return undefined;
  const { name, engine } = container;
  try {
    const inside = inContainer(host, { container: name, engine });
    const told = await inside.run(["sh", "-c", WHO], {
      ...how,
      as: "postgres",
      okExits: ANY_EXIT,
      within: WITHIN_MS,
      maxStdout: 4096,
    });
    const user = told.stdout.toString().trim();
    if (told.exit !== 0 || !/^[\w-]{1,63}$/.test(user)) return undefined;
    return { database: "postgres", container: name, engine, run_as: "postgres", user, ...NOTHING };
  } catch (error) {
    if (!isFailure(error, "host/command-failed")) throw error;
    return undefined;
  }
}

const NOTHING = { host: undefined, port: undefined, bin: undefined };
