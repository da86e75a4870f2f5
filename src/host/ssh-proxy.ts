import { Duplex } from "node:stream";
import type { Cancel } from "../lib/cancel.ts";
import { openLocalHost } from "./local.ts";
import type { SshUser } from "./ssh-destination.ts";

/** A connection through a program of this machine: ProxyJump and ProxyCommand. */
export interface Proxy {
  /** The program ends with it. */
  readonly socket: Duplex;
  /** End it. Resolves to what it printed on stderr. */
  said(): Promise<string>;
}

/** Start the program whose standard input and output are the connection. */
export async function openProxy(argv: readonly string[], how: SshUser & Cancel): Promise<Proxy> {
  const here = await openLocalHost();
  const env = how.agentSocket ? { SSH_AUTH_SOCK: how.agentSocket } : {};
  const command = await here.start(argv, { signal: how.signal, env });
  const socket = Duplex.from({ readable: command.stdout, writable: command.stdin });
  socket.on("error", () => {}); // the client tells
  socket.once("close", () => here[Symbol.asyncDispose]());
  return {
    socket,
    async said() {
      await here[Symbol.asyncDispose]();
      return (await command.ended.catch(() => undefined))?.stderr ?? "";
    },
  };
}
