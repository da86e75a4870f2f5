import { randomUUID } from "node:crypto";
import { once } from "node:events";
import type { RunningCommand } from "../../host/host.ts";
import type { Cancel } from "../../lib/cancel.ts";
import { DropsError } from "../../lib/errors.ts";
import type { PostgresClient } from "./client.ts";
import { toolFailure } from "./failure.ts";
import { FramedOutput, type TakeLine } from "./framed-output.ts";
import { pinSettingsSql } from "./session-settings.ts";

/** Often enough for what cuts silent connections (firewalls and NAT: minutes), rarely enough not to be seen. */
const HEARTBEAT_MS = 15_000;

/**
 * One long session of psql. Statements go in by standard input, one at a time; after each, psql echoes a line that
 * nothing else can contain, which frames its answer. Statements that answer do so in JSON, a value a line (`json`).
 * The first error ends psql and with it the session; every later call then throws that same source/failed.
 */
export class PsqlSession implements AsyncDisposable {
  readonly #client: PostgresClient;
  readonly #command: RunningCommand;
  readonly #signal: AbortSignal;
  readonly #frame = `drops-${randomUUID()}`;
  readonly #output: FramedOutput;
  readonly #beat: NodeJS.Timeout;
  #queue: Promise<unknown> = Promise.resolve();
  #failure: unknown;
  #closed = false;

  private constructor(client: PostgresClient, command: RunningCommand, signal: AbortSignal) {
    this.#client = client;
    this.#command = command;
    this.#signal = signal;
    this.#output = new FramedOutput(command.stdout, this.#frame);
    this.#beat = setInterval(() => {
      this.json("SELECT 1").catch(() => {}); // kept in #failure, thrown by the next call
    }, HEARTBEAT_MS);
    this.#beat.unref();
  }

  /** Connect, pin every setting that answers depend on, and beat from now on until closed. */
  static async open(client: PostgresClient, how: Cancel): Promise<PsqlSession> {
    const argv = client.argv("psql", ["-X", "-q", "-A", "-t", "-w", "-v", "ON_ERROR_STOP=1"]);
    const command = await client.start(argv, { signal: how.signal, psql: true });
    const session = new PsqlSession(client, command, how.signal);
    try {
      for (const statement of pinSettingsSql()) await session.run(statement);
      return session;
    } catch (error) {
      await session[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Run one statement and read its answer: a JSON value a row. */
  async json(sql: string): Promise<readonly unknown[]> {
    const lines = await this.run(sql);
    return lines.map((line) => JSON.parse(line) as unknown);
  }

  /** Run one statement; its answer as lines, which must be free of line feeds inside. Empty ones are left out. */
  run(sql: string): Promise<readonly string[]> {
    return this.#inTurn(async () => {
      const lines = await this.#exchange(sql, (output) => output.lines());
      return lines.filter((line) => line !== "");
    });
  }

  /** Run a COPY to standard output; its rows as they come. */
  async rows(sql: string, take: TakeLine): Promise<void> {
    await this.#inTurn(() => this.#exchange(sql, async (output) => (await output.rows(take)) || undefined));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    clearInterval(this.#beat);
    await this.#command[Symbol.asyncDispose]();
  }

  #inTurn<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
    const answer = this.#queue.then(async () => {
      if (this.#failure !== undefined) throw this.#failure;
      try {
        return await ask();
      } catch (error) {
        this.#failure = error;
        throw error;
      }
    });
    this.#queue = answer.catch(() => {});
    return answer;
  }

  async #exchange<Answer>(
    sql: string,
    read: (output: FramedOutput) => Promise<Answer | undefined>,
  ): Promise<Answer> {
    if (this.#closed) throw new Error("the session is closed");
    const { stdin } = this.#command;
    if (!stdin.write(`${sql}\n;\n\\echo ${this.#frame}\n`)) await drained(this.#command);
    const answer = await read(this.#output);
    if (answer === undefined) throw await this.#lost();
    return answer;
  }

  async #lost(): Promise<unknown> {
    const ended = await this.#command.ended; // throws what ended it: an abort, a lost host
    if (this.#signal.aborted) return this.#signal.reason;
    if (ended.exit === 0) {
      return new DropsError("source/failed", `the session with ${this.#client.label} ended too early`);
    }
    return toolFailure("psql", `the session with ${this.#client.label}`, ended);
  }
}

/** A command that ended never drains. */
async function drained(command: RunningCommand): Promise<void> {
  const stop = new AbortController();
  const drain = once(command.stdin, "drain", { signal: stop.signal }).catch(() => {});
  await Promise.race([drain, command.ended]);
  stop.abort();
}
