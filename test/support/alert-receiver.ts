import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { until } from "./until.ts";

/** An HTTP server that alerts are sent to. */
export interface AlertReceiver extends AsyncDisposable {
  readonly url: string;
  /** Bodies that arrived since the last `take`. */
  take(): readonly string[];
  /** The first body that was not taken yet and matches; waits for it. */
  arrives(what: RegExp): Promise<string>;
}

export async function startAlertReceiver(address: string): Promise<AlertReceiver> {
  let bodies: string[] = [];
  const server = createServer(async (request, answer) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    bodies.push(Buffer.concat(parts).toString());
    answer.end("ok");
  }).listen(0, address);
  await once(server, "listening");
  return {
    url: `http://${address}:${(server.address() as AddressInfo).port}/alerts`,
    take() {
      const taken = bodies;
      bodies = [];
      return taken;
    },
    async arrives(what) {
      const find = () => bodies.find((body) => what.test(body));
      await until(`an alert of ${what}`, async () => find() !== undefined);
      return find() ?? "";
    },
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
