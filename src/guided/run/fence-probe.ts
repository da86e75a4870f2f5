import { connect } from "node:net";
import type { Cancel } from "../../lib/cancel.ts";

/**
 * - `open`: something accepts connections
 * - `refused`: a machine is there, and nothing listens on that port
 * - `silent`: nothing answers in time, or a router says that nothing is there
 * - `unknown`: it could not be tried from here
 */
export type PortAnswer = "open" | "refused" | "silent" | "unknown";

const SILENT = new Set(["ETIMEDOUT", "EHOSTUNREACH", "EHOSTDOWN"]);
const REFUSED = new Set(["ECONNREFUSED", "ECONNRESET"]);

/** Open a TCP connection and close it at once: nothing is sent, nothing is read. */
export async function probe(
  address: string,
  port: number,
  how: Cancel & { readonly withinMs: number },
): Promise<PortAnswer> {
  how.signal.throwIfAborted();
  const socket = connect({ host: address, port });
  const late = AbortSignal.timeout(how.withinMs);
  const stop = AbortSignal.any([how.signal, late]);
  try {
    return await new Promise<PortAnswer>((resolve, reject) => {
      socket.once("connect", () => resolve("open"));
      socket.once("error", (error: NodeJS.ErrnoException) => resolve(answerOf(error.code ?? "")));
      const onStop = () => (how.signal.aborted ? reject(how.signal.reason) : resolve("silent"));
      stop.addEventListener("abort", onStop, { once: true });
    });
  } finally {
    socket.on("error", () => {}).destroy();
  }
}

function answerOf(code: string): PortAnswer {
  if (SILENT.has(code)) return "silent";
  return REFUSED.has(code) ? "refused" : "unknown";
}
