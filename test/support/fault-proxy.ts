import { once } from "node:events";
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";

/** What happens to a request instead of being passed on. */
export type Mishap =
  /** An answer of our own, in S3's form. */
  | {
      readonly answer: number;
      readonly code?: string;
      readonly message?: string;
      readonly headers?: Readonly<Record<string, string>>;
    }
  /** An answer that no S3 server gives. */
  | { readonly page: string; readonly status?: number }
  /** Passed on, but late. */
  | { readonly delayMs: number }
  /** The client's connection is reset when half of its body has arrived; the server sees the same. */
  | "cut-request"
  /** The connection is reset in the middle of the answer's body. */
  | "cut-answer"
  /** Half of the answer's body, then silence. */
  | "stall-answer"
  /** The server does it and answers; the client only sees its connection reset. */
  | "swallow-answer"
  /** The connection is reset before anything is answered, as where nobody listens. */
  | "hang-up"
  /** Silence. */
  | "freeze";

export interface ProxyFault {
  readonly mishap: Mishap;
  readonly method?: string;
  /** Against path and query, as they were sent. */
  readonly url?: RegExp;
  /** A header that must be there. */
  readonly header?: string;
  /** A header that must not be there. */
  readonly without?: string;
  /** How many requests it strikes; default: all. */
  readonly times?: number;
}

export interface FaultProxy extends AsyncDisposable {
  readonly endpoint: string;
  /** Every request since the last `reset`, such as `PUT /bucket/key`. */
  readonly requests: readonly string[];
  /** From now on; the first fault that matches strikes. */
  plan(...faults: readonly ProxyFault[]): void;
  /** No faults, no memory of requests. */
  reset(): void;
}

/** An HTTP proxy on `address` in front of `target` (http://…) that lets chosen requests go wrong. */
export async function startFaultProxy(target: string, address = "127.0.0.1"): Promise<FaultProxy> {
  let faults: { readonly fault: ProxyFault; left: number }[] = [];
  const requests: string[] = [];
  const server = createServer((incoming, answer) => {
    const url = incoming.url ?? "";
    requests.push(`${incoming.method} ${url.replace(/\?.*/, "")}`);
    incoming.on("error", () => {});
    answer.on("error", () => {});
    const { socket } = incoming;
    const struck = faults.find(({ fault, left }) => left > 0 && matches(fault, incoming));
    if (struck) struck.left -= 1;
    handle(target, incoming, answer, struck?.fault.mishap).catch(() => socket.destroy());
  });
  server.listen(0, address);
  await once(server, "listening");
  return {
    endpoint: `http://${address}:${(server.address() as AddressInfo).port}`,
    requests,
    plan: (...planned) => {
      faults = planned.map((fault) => ({ fault, left: fault.times ?? Number.POSITIVE_INFINITY }));
    },
    reset: () => {
      faults = [];
      requests.length = 0;
    },
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function matches({ method, url, header, without }: ProxyFault, incoming: IncomingMessage): boolean {
  return (
    (method ?? incoming.method) === incoming.method &&
    url?.test(incoming.url ?? "") !== false &&
    (header === undefined || header in incoming.headers) &&
    (without === undefined || !(without in incoming.headers))
  );
}

async function handle(
  target: string,
  incoming: IncomingMessage,
  answer: ServerResponse,
  mishap: Mishap | undefined,
): Promise<void> {
  const { socket } = incoming; // gone from the request once that is destroyed
  if (mishap === "freeze") return;
  if (mishap === "hang-up") {
    socket.resetAndDestroy();
    return;
  }
  if (mishap === "cut-request") return cutRequest(target, incoming, socket);
  if (typeof mishap === "object" && !("delayMs" in mishap)) {
    for await (const _ of incoming);
    answerOurselves(incoming, answer, mishap);
    return;
  }
  if (typeof mishap === "object") await new Promise((resolve) => setTimeout(resolve, mishap.delayMs));
  const outgoing = passOn(target, incoming, socket);
  incoming.pipe(outgoing);
  const [reply] = (await once(outgoing, "response")) as [IncomingMessage];
  await giveBack(reply, answer, socket, mishap);
}

async function giveBack(
  reply: IncomingMessage,
  answer: ServerResponse,
  socket: Socket,
  mishap: Mishap | undefined,
): Promise<void> {
  if (mishap === "swallow-answer") {
    for await (const _ of reply);
    socket.resetAndDestroy();
    return;
  }
  answer.writeHead(reply.statusCode ?? 500, reply.headers);
  if (mishap !== "cut-answer" && mishap !== "stall-answer") {
    reply.pipe(answer);
    return;
  }
  const half = Number(reply.headers["content-length"]) / 2;
  let sent = 0;
  for await (const chunk of reply as AsyncIterable<Buffer>) {
    answer.write(chunk.subarray(0, Math.max(0, half - sent)));
    sent += chunk.length;
  }
  if (mishap === "cut-answer") setTimeout(() => socket.resetAndDestroy(), 20);
}

function passOn(target: string, incoming: IncomingMessage, socket: Socket): ReturnType<typeof request> {
  // The Host header stays what the client signed.
  const outgoing = request(target + incoming.url, {
    method: incoming.method,
    headers: incoming.headers,
    agent: false,
  });
  outgoing.on("error", () => socket.destroy());
  return outgoing;
}

async function cutRequest(target: string, incoming: IncomingMessage, socket: Socket): Promise<void> {
  const outgoing = passOn(target, incoming, socket);
  const half = Number(incoming.headers["content-length"] ?? 0) / 2;
  let seen = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    seen += chunk.length;
    if (seen >= half) break;
    outgoing.write(chunk);
  }
  outgoing.destroy();
  socket.resetAndDestroy();
}

function answerOurselves(
  incoming: IncomingMessage,
  answer: ServerResponse,
  mishap: Exclude<Mishap, string | { delayMs: number }>,
): void {
  if ("page" in mishap) {
    answer.writeHead(mishap.status ?? 200, { "content-type": "text/html" }).end(mishap.page);
    return;
  }
  const code = mishap.code ?? "Unknown";
  const xml = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>${mishap.message ?? "as planned"}</Message></Error>`;
  answer.writeHead(mishap.answer, { "content-type": "application/xml", ...mishap.headers });
  answer.end(incoming.method === "HEAD" ? undefined : xml);
}
