import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { chmod, writeFile } from "node:fs/promises";
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";

/** How a receiver behaves: it takes the alert, or after a while, or never ends its answer; asks to be tried later; says no; … */
export type Manner = "takes" | "slow" | "drips" | "later" | "refuses" | "silent" | "cuts";

export interface Request {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface Receiver extends AsyncDisposable {
  readonly url: string;
  readonly requests: readonly Request[];
  /** Whether somebody is connected. */
  isConnected(): boolean;
  /** Of the requests to come, in turn; the last one stays. */
  behave(...manners: readonly Manner[]): void;
}

/** A real HTTP server on loopback. */
export async function startReceiver(...manners: readonly Manner[]): Promise<Receiver> {
  const requests: Request[] = [];
  let plan = [...manners];
  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on("data", (piece: Buffer) => pieces.push(piece));
    request.on("end", () => {
      const { method = "", url = "", headers } = request;
      requests.push({ method, url, headers, body: Buffer.concat(pieces).toString("utf8") });
      const manner = (plan.length > 1 ? plan.shift() : plan[0]) ?? "takes";
      answer(manner, { method, url }, response);
    });
  });
  const sockets = new Set<object>();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    isConnected: () => sockets.size > 0,
    behave: (...more) => {
      plan = [...more];
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

function answer(
  manner: Manner,
  { method, url }: { readonly method: string; readonly url: string },
  response: ServerResponse,
): void {
  if (manner === "slow") return void setTimeout(() => answer("takes", { method, url }, response), 400);
  const status = { takes: 200, drips: 200, later: 503, refuses: 404, silent: 0, cuts: 0 }[manner];
  if (manner === "cuts") response.socket?.destroy();
  if (status === 0) return;
  // an answer that repeats the address, as many servers do when they refuse
  response.writeHead(status, `about ${encodeURIComponent(url)}`);
  response.write(`Cannot ${method} ${url}`);
  if (manner !== "drips") response.end();
}

export interface StandIn {
  readonly program: string;
  /** Of each call, in turn: arguments, input, environment. */
  calls(): readonly { readonly argv: readonly string[]; readonly input: string; readonly env: string }[];
  /** Whether a process that it started is still there. */
  isRunning(): boolean;
  behave(...manners: readonly Manner[]): Promise<void>;
}

const EXIT: Readonly<Record<Manner, string>> = {
  takes: "exit 0",
  slow: "sleep 0.4; exit 0",
  drips: "yes | head -c 1000000; exit 0",
  later: "exit 75",
  refuses: "echo secret-of-the-program >&2; exit 67",
  silent: 'sleep 300 & echo $! > "$0.sleeper"; wait',
  cuts: "kill -KILL $$",
};

/** A program that takes down how it was called. It stands in for sendmail, and for a command of the administrator's. */
export async function standIn(directory: string, ...manners: readonly Manner[]): Promise<StandIn> {
  const program = join(directory, `stand-in-${readdirSync(directory).length}`);
  const plan = `${program}.plan`;
  const behave = (...more: readonly Manner[]) =>
    writeFile(plan, `${more.map((each) => EXIT[each]).join("\n")}\n`);
  await behave(...manners);
  await writeFile(
    program,
    `#!/bin/sh
n=$(ls "$0".*.argv 2>/dev/null | wc -l)
for each in "$@"; do printf '%s\\n' "$each"; done > "$0.$n.argv"
env > "$0.$n.env"
cat > "$0.$n.input"
line=$((n + 1)); last=$(wc -l < "$0.plan")
if [ "$line" -gt "$last" ]; then line=$last; fi
eval "$(sed -n "\${line}p" "$0.plan")"
`,
  );
  await chmod(program, 0o755);
  const read = (n: number, what: string) => readFileSync(`${program}.${n}.${what}`, "utf8");
  return {
    program,
    behave,
    calls: () => {
      const calls = [];
      for (let n = 0; existsSync(`${program}.${n}.input`); n++) {
        calls.push({
          argv: read(n, "argv").split("\n").slice(0, -1),
          input: read(n, "input"),
          env: read(n, "env"),
        });
      }
      return calls;
    },
    isRunning: () => {
      if (!existsSync(`${program}.sleeper`)) return false;
      const pid = readFileSync(`${program}.sleeper`, "utf8").trim();
      if (pid === "") return false; // the file is made a moment before the number is written
      const stat = `/proc/${pid}/stat`;
      return existsSync(stat) && !/\) Z /.test(readFileSync(stat, "utf8"));
    },
  };
}
