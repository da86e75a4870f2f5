import { findPrograms } from "../../src/drill/postgres-programs.ts";
import { Sandbox, sandboxUser } from "../../src/drill/sandbox.ts";
import { Scratch } from "../../src/drill/scratch.ts";
import { ScratchPostgres } from "../../src/drill/scratch-postgres.ts";
import { openLocalHost } from "../../src/host/local.ts";

/** Starts a drill's scratch server, prints where it works, and waits to be killed. Arguments: work directory, programs. */
const [work = "", bin = ""] = process.argv.slice(2);
const how = { signal: new AbortController().signal };
const host = await openLocalHost();
const user = await sandboxUser(host, "nobody", how);
const scratch = await Scratch.make(host, user, { work, keep: true, say: () => {} });
const sandbox = await Sandbox.open(host, {
  ...how,
  user,
  path: process.env["PATH"],
  home: await scratch.makeFor("home"),
});
const { fit } = await findPrograms(host, [bin], 1, how);
if (!fit) throw new Error(`no PostgreSQL in ${bin}`);
const place = { directory: await scratch.makeFor("cluster"), sockets: await scratch.makeForSockets() };
await ScratchPostgres.start(fit, sandbox, place, how);
process.stdout.write("started\n");
setInterval(() => {}, 60_000);
