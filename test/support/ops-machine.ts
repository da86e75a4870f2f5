import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { fill, SCHEMA } from "./bridge-database.ts";
import { OPS } from "./ops-facts.ts";
import { until } from "./until.ts";
import { startVps, type Vps, type VpsOptions } from "./vps.ts";

/** What a unit noted; see stand-in/notes.ts and stand-in/look.sh. */
export interface Note {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly unit: string;
  readonly event: string;
  /** Whether the gate was closed then. */
  readonly gate: boolean;
  /** Digest of all that lies on the disk for the unit. */
  readonly disk?: string;
  readonly generation?: string;
  readonly generations?: readonly string[];
  readonly counter?: number;
  readonly signingKey?: string;
  readonly messages?: number;
  readonly oid?: string;
  /** What the homeserver answered to the bridge. */
  readonly status?: number;
}

/** A throwaway server with a homeserver on RocksDB, a bridge on PostgreSQL, a forge's files: the machine of policies/ops-jrz1.yaml. */
export interface OpsMachine extends AsyncDisposable {
  readonly vps: Vps;
  notes(): Promise<readonly Note[]>;
  /** As the superuser; default: in the bridge's database. */
  psql(sql: string, database?: string): Promise<string>;
  /** What the homeserver says of itself. */
  homeserver(): Promise<Pick<Note, "generation" | "counter" | "signingKey">>;
}

export interface OpsMachineOptions extends VpsOptions {
  /** A word that all its data carry: `precious` on the machine that is backed up. */
  readonly generation: "precious" | "fresh";
  /** Its services write without rest, and there is something in them. */
  readonly busy?: boolean;
  /** State of the homeserver behind a link to /var/lib/private, as systemd keeps it for such units; default: yes. */
  readonly dynamicUser?: boolean;
}

export const UNITS: readonly string[] = OPS.units;
const HERE = dirname(fileURLToPath(import.meta.url));
const NODE = "/opt/drops-tests/node";

/** Resolves when all its units run and know each other. */
export async function startOpsMachine(options: OpsMachineOptions): Promise<OpsMachine> {
  await using stack = new AsyncDisposableStack();
  const binds = {
    [HERE]: "/opt/drops-tests/support",
    [join(HERE, "../../node_modules")]: "/opt/drops-tests/node_modules",
    [process.execPath]: NODE,
    ...options.binds,
  };
  const vps = stack.use(await startVps({ ...options, binds }));
  await install(vps, options);
  const closing = stack.move();
  const machine: OpsMachine = {
    vps,
    notes: async () =>
      (await readFile(join(vps.shared, "notes.jsonl"), "utf8"))
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line) as Note),
    psql: (sql, database) => psql(vps, sql, database),
    homeserver: async () => JSON.parse(await vps.exec(`${NODE} -e '${ASK_HOMESERVER}'`)),
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  };
  await untilInUse(machine);
  return machine;
}

const ASK_HOMESERVER = `fetch("http://${OPS.listens.homeserver}/state").then((answer) => answer.text()).then(console.log)`;

async function install(vps: Vps, { generation, busy = false, dynamicUser = true }: OpsMachineOptions) {
  await vps.exec("cat > /etc/mautrix-slack.sql", { input: SCHEMA });
  const settings = {
    GENERATION: generation,
    DYNAMIC_USER: dynamicUser ? "yes" : "no",
    BUSY: busy ? "yes" : "",
    PAUSE_MS: busy ? "60" : "",
    NODE,
  };
  const words = Object.entries(settings).map(([name, value]) => `${name}='${value}'\n`);
  const script = await readFile(join(HERE, "stand-in", "install.sh"), "utf8");
  await vps.exec("sh", { input: words.join("") + script });
  if (busy) {
    const rows = `SET ROLE "mautrix-slack";\n${SCHEMA}\n${fill({ portals: 20, ghosts: 50, messages: 4000 })}
      INSERT INTO kv_store VALUES ('', 'generation', '${generation}');
      UPDATE kv_store SET value = '0' WHERE key = 'last_startup';
      GRANT SELECT ON portal, message TO reporting;
      GRANT CREATE ON DATABASE mautrix_slack TO reporting;
      ALTER DATABASE mautrix_slack SET lock_timeout = '61s';`;
    await psql(vps, rows);
    await vps.exec("install -d -m 700 -o postgres -g postgres /var/lib/postgresql/fast");
    // What an administrator did by hand: a second owner in public, and a tablespace that no new machine has.
    await psql(vps, "CREATE TABLESPACE fast LOCATION '/var/lib/postgresql/fast'", "forgejo");
    await psql(vps, BY_HAND, "forgejo");
  }
  await vps.exec("systemctl start mautrix-slack.service");
}

const BY_HAND = `
  CREATE TABLE audit (id bigserial PRIMARY KEY, what text);
  ALTER TABLE audit OWNER TO reporting;
  INSERT INTO audit (what) SELECT 'push ' || n FROM generate_series(1, 200) n;
  CREATE TABLE attachment (id bigserial PRIMARY KEY, name text) TABLESPACE fast;
  ALTER TABLE attachment OWNER TO forgejo;
  INSERT INTO attachment (name) SELECT md5(n::text) FROM generate_series(1, 300) n;
  GRANT SELECT ON repository TO reporting;`;

function psql(vps: Vps, sql: string, database = "mautrix_slack"): Promise<string> {
  return vps.exec(
    `cd / && setpriv --reuid=postgres --regid=postgres --init-groups psql -X -qAt -v ON_ERROR_STOP=1 ${database}`,
    { input: sql },
  );
}

async function untilInUse(machine: OpsMachine): Promise<void> {
  await until("the services come up", async () => {
    const notes = await machine.notes();
    const open = new Set(notes.filter(({ event }) => event === "opened").map(({ unit }) => unit));
    return ["matrix-continuwuity", "mautrix-slack", "forgejo"].every((unit) => open.has(unit));
  }).catch(async (cause: unknown) => {
    throw new Error(await machine.vps.exec("journalctl --no-pager -n 60; systemctl --failed"), { cause });
  });
}
