import { Agent } from "node:https";
import type { Socket } from "node:net";
import { freeMemory } from "../lib/free-memory.ts";

/**
 * Connections that give the memory of what was read back at once. node:https copies a body out of every record of 16 KiB
 * and leaves the record to the collector, which then marks the whole heap for each 64 MiB of packs: a sixth of the time that a
 * restore computes. Only for answers with a body or none, never for an upgrade, which keeps the record that it came in.
 */
export class LowMemoryAgent extends Agent {
  override createConnection(
    ...how: Parameters<Agent["createConnection"]>
  ): ReturnType<Agent["createConnection"]> {
    const socket = super.createConnection(...how) as Socket;
    // Behind the parser, which is attached anew for each request and reads a record as soon as it comes.
    socket.on("data", (record: Buffer) => process.nextTick(free, record));
    return socket;
  }
}

function free(record: Buffer): void {
  if (record.byteLength === record.buffer.byteLength) freeMemory(record);
}
