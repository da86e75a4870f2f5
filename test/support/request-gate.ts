import { once } from "node:events";
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** Somebody who acts at one request of many. */
export interface Watch {
  /** From 1, since the watch began. */
  readonly nth: number;
  /** `before` it is passed on, or `after` the server has done it and before its answer is given. */
  readonly when: "before" | "after";
  /** Whether the request goes on. */
  readonly act: () => "on" | "gone";
}

export interface RequestGate extends AsyncDisposable {
  readonly endpoint: string;
  /** Count from 0 again, and let `watch` act. */
  begin(watch?: Watch): void;
  /** Requests since `begin`. */
  readonly count: number;
}

/** An HTTP proxy in front of `target` (http://…) that tells when a chosen request comes by. */
export async function startRequestGate(target: string): Promise<RequestGate> {
  const agent = new Agent({ keepAlive: true });
  let count = 0;
  let watching: Watch | undefined;
  const handle = async (incoming: IncomingMessage, answer: ServerResponse): Promise<void> => {
    count++;
    const watch = watching?.nth === count ? watching : undefined;
    const { socket } = incoming;
    if (watch?.when === "before" && watch.act() === "gone") {
      socket.destroy();
      return;
    }
    // The Host header stays what the client signed.
    const { method, headers } = incoming;
    const outgoing = request(target + incoming.url, { method, headers, agent });
    outgoing.on("error", () => socket.destroy());
    incoming.on("error", () => outgoing.destroy());
    incoming.pipe(outgoing);
    const [reply] = (await once(outgoing, "response")) as [IncomingMessage];
    const body = await reply.toArray();
    if (watch?.when === "after" && watch.act() === "gone") {
      socket.destroy();
      return;
    }
    answer.on("error", () => {});
    answer.writeHead(reply.statusCode ?? 500, reply.headers).end(Buffer.concat(body));
  };
  const server = createServer((incoming, answer) => {
    handle(incoming, answer).catch(() => incoming.socket?.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    begin(watch) {
      count = 0;
      watching = watch;
    },
    get count() {
      return count;
    },
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
      agent.destroy();
    },
  };
}
