import { once } from "node:events";
import { createServer } from "node:net";

// Below the ports that the kernel gives away by itself (ip_local_port_range), so that none is taken by a connection or by
// a `listen(0)` between here and the server that will bind it.
const FIRST = 10_000;
const LAST = 32_000;
const OF_ONE_PROCESS = 50;

/** Test files run at the same time, each in a process: each begins in a row of its own, and none is given twice. */
let next = FIRST + ((process.pid * OF_ONE_PROCESS) % (LAST - FIRST));

/** A port of 127.0.0.1 where nobody listens. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < LAST - FIRST; tries++) {
    const port = next;
    next = port + 1 < LAST ? port + 1 : FIRST;
    if (await canListen(port)) return port;
  }
  throw new Error("no port is free");
}

async function canListen(port: number): Promise<boolean> {
  const server = createServer().listen(port, "127.0.0.1");
  try {
    await once(server, "listening");
  } catch {
    return false;
  }
  server.close();
  await once(server, "close");
  return true;
}
