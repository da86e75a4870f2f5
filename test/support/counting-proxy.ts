import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

export interface CountingProxy extends AsyncDisposable {
  readonly port: number;
  /** Bytes that came from the target since the last call. */
  received(): number;
}

/** Passes TCP connections on to a port of this machine and counts what comes back. */
export async function startCountingProxy(target: number): Promise<CountingProxy> {
  let bytes = 0;
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(target, "127.0.0.1");
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("close", () => sockets.delete(socket));
      socket.on("error", () => socket.destroy());
    }
    upstream.on("data", (data) => {
      bytes += data.length;
    });
    client.pipe(upstream).pipe(client);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the proxy has no port");
  return {
    port: address.port,
    received() {
      const counted = bytes;
      bytes = 0;
      return counted;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
