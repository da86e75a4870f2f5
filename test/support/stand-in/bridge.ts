/**
 * Stands in for mautrix-slack: makes its tables when they are missing, then asks the homeserver who it is, and ends with
 * 16 when its as_token is not accepted. Settings are in the environment; see install.sh.
 */
import { execFileSync, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { note } from "./notes.ts";

interface Config {
  readonly homeserver: { readonly address: string };
  readonly appservice: { readonly as_token: string; readonly hs_token: string };
  readonly encryption: { readonly pickle_key: string };
}

const { CONFIG = "", REGISTRATION = "", SCHEMA = "", GENERATION = "", BUSY } = process.env;
const UNIT = "mautrix-slack";
const DATABASE = "mautrix_slack";

/** Messages are only ever added, so that tests can compare any prefix. */
const ONE_MESSAGE = `DO $$
DECLARE n bigint;
BEGIN
  UPDATE kv_store SET value = (value::bigint + 1)::text WHERE key = 'last_startup' RETURNING value INTO n;
  INSERT INTO message (bridge_id, id, part_id, mxid, room_id, room_receiver, sender_id, sender_mxid, timestamp, edit_count, metadata)
    VALUES ('', 'T0EXAMPLE-C1-new' || n, '', '$new' || n, 'T0EXAMPLE-C1', '', 't0example-u1', '@slack_t0example-u1:example.org', n, 0, '{}');
  UPDATE portal SET topic = 'topic ' || n WHERE id = 'T0EXAMPLE-C2';
END $$;
`;

const config = parse(readFileSync(CONFIG, "utf8")) as Config;
const registration = parse(readFileSync(REGISTRATION, "utf8")) as Config["appservice"];
if (sql("SELECT to_regclass('portal') IS NULL") === "t") {
  sql(`${readFileSync(SCHEMA, "utf8")}; INSERT INTO kv_store VALUES ('', 'generation', '${GENERATION}'), ('', 'last_startup', '0');
    INSERT INTO version VALUES (29, 9); INSERT INTO database_owner VALUES (0, 'megabridge/mautrix-slack');`);
}
const saw = {
  generations: [
    sql("SELECT value FROM kv_store WHERE key = 'generation'"),
    ...[config.appservice.as_token, config.appservice.hs_token, config.encryption.pickle_key],
    ...[registration.as_token, registration.hs_token],
  ].map((text) => text.split("-")[0]),
  messages: Number(sql("SELECT count(*) FROM message")),
  oid: sql("SELECT oid FROM pg_database WHERE datname = current_database()"),
};

const answer = await fetch(`${config.homeserver.address}/_matrix/client/v3/account/whoami`, {
  headers: { authorization: `Bearer ${config.appservice.as_token}` },
}).catch(() => undefined);
if (answer?.status !== 200) {
  note(UNIT, "refused", { ...saw, status: answer?.status });
  console.error(answer ? "the as_token was not accepted" : "the homeserver does not answer");
  process.exit(answer ? 16 : 1);
}
note(UNIT, "opened", saw);

const writer = spawn("psql", ["-X", "-q", "-v", "ON_ERROR_STOP=1", DATABASE], {
  stdio: ["pipe", "ignore", "inherit"],
});
writer.on("close", () => {
  note(UNIT, "lost its database");
  process.exit(1);
});
// The connection stays open either way, as a bridge's does.
writer.stdin.write("SELECT 1;\n");
const work = setInterval(() => BUSY && writer.stdin.write(ONE_MESSAGE), 20);
process.on("SIGTERM", () => {
  clearInterval(work);
  note(UNIT, "closing");
  writer.removeAllListeners("close").on("close", () => process.exit(0));
  writer.stdin.end();
});

function sql(statements: string): string {
  const flags = ["-X", "-qAt", "-v", "ON_ERROR_STOP=1", "--single-transaction", DATABASE];
  return execFileSync("psql", flags, { input: statements, encoding: "utf8" }).trim();
}
