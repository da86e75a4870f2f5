import pRetry from "p-retry";
import type { ClientChannel } from "ssh2";
import type { Cancel } from "../lib/cancel.ts";
import { DropsError, isFailure, messageOf } from "../lib/errors.ts";
import { LOGIN_MS } from "../lib/limits.ts";
import { unlessAborted } from "../lib/waiting.ts";
import type { SshPolicy } from "../policy/schema.ts";
import { hostOf } from "./command-line.ts";
import type { CommandResult, Host, RunningCommand } from "./host.ts";
import { shellLine } from "./quote.ts";
import { ANY_EXIT, runToEnd } from "./run-to-end.ts";
import { sshCommand } from "./ssh-command.ts";
import { connect, type SshConnection } from "./ssh-connection.ts";
import { type SshDestination, type SshUser, sshDestination } from "./ssh-destination.ts";
import { StderrTail } from "./stderr-tail.ts";

type OpenHow = SshUser & Cancel;

/** Waits of about 0.5, 1 and 2 s, up to doubled at random so that many hosts do not come back at once. */
const RETRIES = { retries: 3, minTimeout: 500, factor: 2, randomize: true } as const;

/** sshd counts a session until it has cleaned up after it, a moment after its command was seen to end. 1.5 s at least in all. */
const SESSION_RETRIES = { retries: 4, minTimeout: 100, factor: 2, randomize: true } as const;

/**
 * A machine over SSH. Its host key is always verified. `home` is where `.ssh` is; `how.signal` ends the whole connection. A lost connection fails what is running (host/unreachable) and is made anew for the next command.
 * Throws host/unreachable, host/key-mismatch, host/login-refused.
 */
export async function openSshHost(ssh: SshPolicy, how: OpenHow): Promise<Host> {
  const to = await sshDestination(ssh, how);
  const link = new Link(to, how);
  const first = { ...how, within: LOGIN_MS, okExits: ANY_EXIT };
  try {
    const told = await runToEnd(link.start(["id", "-u"], how.signal), ["id", "-u"], first, link.label);
    const user = { name: to.user, uid: uidOf(told, link.label) };
    const { label } = link;
    return hostOf({
      label,
      user,
      start: (argv, signal) => link.start(argv, signal),
      close: () => link.close(),
    });
  } catch (error) {
    await link.close();
    throw error;
  }
}

function uidOf(told: CommandResult, label: string): number {
  const text = told.stdout.toString("utf8");
  if (told.exit === 0 && /^\d+\n$/.test(text)) return Number(text);
  if (told.exit === 0) {
    throw new DropsError("host/command-failed", `the login shell of ${label} prints text of its own`, {
      hint: "change its start-up files: without a terminal they must print nothing, also for scp and rsync",
    });
  }
  const said = new StderrTail();
  said.add(Buffer.from(`${told.stderr}\n${text}`));
  const words = said.text() === "" ? "" : `: ${said.text()}`;
  throw new DropsError(
    "host/command-failed",
    `the login shell of ${label} runs no commands (exit status ${told.exit})${words}`,
    {
      hint: `look at the last field there: getent passwd ${label.split("@")[0]}; nologin and false run nothing: chsh -s /bin/sh, or take another user`,
    },
  );
}

/** One connection at a time, made when it is needed, and the commands that run over it. */
class Link {
  readonly label: string;
  readonly #to: SshDestination;
  readonly #how: OpenHow;
  readonly #closing = new AbortController();
  readonly #running = new Set<RunningCommand>();
  #connection: Promise<SshConnection> | undefined;

  constructor(to: SshDestination, how: OpenHow) {
    this.#to = to;
    this.#how = { ...how, signal: AbortSignal.any([how.signal, this.#closing.signal]) };
    this.label = `${to.user}@${to.alias}`;
  }

  /** Never starts a command twice: once a session stands and was asked to start it, a loss is the caller's to answer. */
  async start(argv: readonly string[], signal: AbortSignal): Promise<RunningCommand> {
    signal.throwIfAborted();
    const connection = await unlessAborted(this.#connected(), signal);
    const line = shellLine(argv);
    const take = (channel: ClientChannel) => {
      const command = sshCommand(connection.client, channel, this.label, signal); // aborted since: it ends itself
      this.#running.add(command);
      const forget = () => this.#running.delete(command);
      command.ended.then(forget, forget);
      return command;
    };
    const started = pRetry(() => this.#open(connection, line, take), {
      ...SESSION_RETRIES,
      signal,
      // a session that was refused has started nothing
      shouldRetry: ({ error }) => isFailure(error, "host/command-failed"),
    });
    return unlessAborted(started, signal);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#running].map((command) => command[Symbol.asyncDispose]()));
    this.#closing.abort(new DropsError("host/unreachable", `the connection to ${this.label} was closed`));
    const connection = await this.#connection?.catch(() => undefined);
    await connection?.close();
  }

  /** The connection that is there, or the attempt that is under way, or a new one. */
  async #connected(): Promise<SshConnection> {
    this.#how.signal.throwIfAborted();
    const seen = this.#connection;
    const current = await seen?.catch(() => undefined);
    if (current?.isAlive()) return current;
    // several may have waited for the same loss: the first connects, the others find its attempt
    if (this.#connection === seen) this.#connection = this.#connect();
    return this.#connection ?? this.#connect();
  }

  #connect(): Promise<SshConnection> {
    return pRetry(() => connect(this.#to, this.#how), {
      ...RETRIES,
      signal: this.#how.signal,
      shouldRetry: ({ error }) => isFailure(error, "host/unreachable"),
    });
  }

  /** `take` is called at once: the answer and all of a short command's output may be in the packets that came together. */
  #open<T>(connection: SshConnection, line: string, take: (channel: ClientChannel) => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const failed = (error: unknown) => reject(this.#notStarted(connection, error));
      const lost = () => failed(new Error("it was closed"));
      connection.client.once("close", lost);
      try {
        connection.client.exec(line, (error, channel) => {
          connection.client.removeListener("close", lost);
          if (error !== undefined && error !== null) failed(error);
          else resolve(take(channel));
        });
      } catch (error) {
        failed(error);
      }
    });
  }

  #notStarted(connection: SshConnection, error: unknown): DropsError {
    if (!connection.isAlive() || !/open fail/i.test(messageOf(error))) {
      return new DropsError("host/unreachable", `the connection to ${this.label} was lost`, { cause: error });
    }
    return new DropsError(
      "host/command-failed",
      `${this.label} opens no further session: ${messageOf(error)}`,
      {
        hint: "raise MaxSessions in sshd_config of the host",
        cause: error,
      },
    );
  }
}
