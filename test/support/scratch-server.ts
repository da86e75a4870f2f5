import { chmod } from "node:fs/promises";
import { findPrograms } from "../../src/drill/postgres-programs.ts";
import { Sandbox, sandboxUser } from "../../src/drill/sandbox.ts";
import { Scratch } from "../../src/drill/scratch.ts";
import { ScratchPostgres } from "../../src/drill/scratch-postgres.ts";
import type { Host } from "../../src/host/host.ts";
import { scratchDirectory } from "./scratch.ts";

/** A drill's scratch server with what it stands in. Closing it leaves nothing. */
export interface ScratchServer extends AsyncDisposable {
  readonly server: ScratchPostgres;
  readonly scratch: Scratch;
  readonly sandbox: Sandbox;
}

export async function startScratchServer(host: Host, bin: string): Promise<ScratchServer> {
  await using undo = new AsyncDisposableStack();
  const how = { signal: AbortSignal.timeout(600_000) };
  const work = undo.use(await scratchDirectory());
  await chmod(work.path, 0o755);
  const user = await sandboxUser(host, "nobody", how);
  const scratch = undo.use(await Scratch.make(host, user, { work: work.path, keep: false, say: () => {} }));
  const home = await scratch.makeFor("home");
  const sandbox = await Sandbox.open(host, { ...how, user, path: process.env["PATH"], home });
  const { fit } = await findPrograms(host, [bin], 1, how);
  if (!fit) throw new Error(`no PostgreSQL in ${bin}`);
  const place = { directory: await scratch.makeFor("cluster"), sockets: await scratch.makeForSockets() };
  const server = undo.use(await ScratchPostgres.start(fit, sandbox, place, how));
  const open = undo.move();
  return { server, scratch, sandbox, [Symbol.asyncDispose]: () => open.disposeAsync() };
}
