/**
 * Stands in for a Matrix homeserver that keeps its data in RocksDB: makes an empty database when there is none, answers
 * on loopback, refuses a database of another server. Settings are in the environment; see install.sh.
 */
import { existsSync, statSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { text } from "node:stream/consumers";
import { parse } from "yaml";
import { HomeserverDatabase } from "./homeserver-database.ts";
import { note } from "./notes.ts";

const { DATABASE = "", SERVER_NAME = "", GENERATION = "", PORT = "8008", PAUSE_MS } = process.env;
const UNIT = "matrix-continuwuity";

const database = await HomeserverDatabase.open(DATABASE, {
  serverName: SERVER_NAME,
  generation: GENERATION,
}).catch((error: unknown) => {
  note(UNIT, "refused", { why: String(error) });
  console.error(error);
  process.exit(1);
});
const place = statSync(DATABASE).ino;
note(UNIT, "opened", state());

const server = createServer((request, response) => void answer(request, response));
server.listen(Number(PORT), "127.0.0.1");
const work = setInterval(
  () => {
    // A directory that was swapped under a running server would be noticed by nobody else.
    if (statSync(DATABASE, { throwIfNoEntry: false })?.ino !== place) {
      note(UNIT, "moved");
      process.exit(71);
    }
    if (PAUSE_MS) database.write(5);
  },
  Number(PAUSE_MS || 200),
);
process.on("SIGTERM", () => {
  clearInterval(work);
  note(UNIT, "closing", state());
  void database.close().then(() => process.exit(0));
});

function state(): Readonly<Record<string, unknown>> {
  const { generation, counter, signingKey } = database;
  return { generation, counter, signingKey };
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const token = request.headers.authorization?.replace(/^Bearer /, "");
  const answers: Readonly<Record<string, () => unknown>> = {
    "GET /_matrix/client/versions": () => ({ versions: ["v1.11"] }),
    "GET /_matrix/client/v3/account/whoami": () => whoami(token),
    "GET /state": state,
  };
  const asked = `${request.method} ${request.url}`;
  // What an administrator does with `!admin appservices register`.
  if (asked === "POST /register") register(await text(request));
  const said = asked === "POST /register" ? {} : answers[asked]?.();
  response.statusCode = said === undefined ? 401 : 200;
  response.end(JSON.stringify(said ?? { errcode: "M_UNKNOWN_TOKEN" }));
}

function register(yaml: string): void {
  database.register((parse(yaml) as { id: string }).id, yaml);
}

function whoami(token: string | undefined): object | undefined {
  if (existsSync("/etc/stand-in-crashes")) setTimeout(crash, 2000);
  const known = parse(database.registration("slack") ?? "") as {
    as_token: string;
    sender_localpart: string;
  } | null;
  return known && token === known.as_token
    ? { user_id: `@${known.sender_localpart}:${SERVER_NAME}` }
    : undefined;
}

/** As a server whose database is of another version than it thinks: it answers, and dies of its first work. */
function crash(): never {
  note(UNIT, "crashes");
  process.exit(101);
}
