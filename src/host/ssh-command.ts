import type { Readable, Writable } from "node:stream";
import type { Client, ClientChannel } from "ssh2";
import { DropsError } from "../lib/errors.ts";
import { end } from "./ending.ts";
import type { CommandExit, RunningCommand } from "./host.ts";
import { killArgv, PidLine, shellLine } from "./quote.ts";
import { ChannelInput, ChannelOutput } from "./ssh-channel.ts";
import { StderrTail } from "./stderr-tail.ts";

/** A command that runs on the other side of a channel. */
export class SshCommand implements RunningCommand {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly ended: Promise<CommandExit>;
  readonly #channel: ClientChannel;
  readonly #client: Client;
  readonly #pidLine = new PidLine();
  #ending: Promise<void> | undefined;

  /** `label` names the host in the failure when it is lost. */
  constructor(client: Client, channel: ClientChannel, label: string, signal: AbortSignal) {
    this.#client = client;
    this.#channel = channel;
    const tail = new StderrTail();
    const stdin = new ChannelInput(channel);
    const stdout = new ChannelOutput(channel, (bytes) => tail.add(this.#pidLine.rest(bytes)));
    stdout.on("error", () => {}); // whoever reads sees it too
    this.stdin = stdin;
    this.stdout = stdout;
    const stop = () => {
      stdout.destroy(signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason)));
      this.#close({ gently: stdin.writable }).catch(() => {}); // closing never rejects
    };
    signal.addEventListener("abort", stop, { once: true });
    this.ended = waitForEnd(channel, tail, label, (lost) => {
      signal.removeEventListener("abort", stop);
      stdin.finish(lost);
      stdout.finish(lost);
    }).then((exit) => {
      signal.throwIfAborted();
      return exit;
    });
    this.ended.catch(() => {}); // whoever waits sees it
    if (signal.aborted) stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close({ gently: true });
  }

  #close(how: { gently: boolean }): Promise<void> {
    this.#ending ??= end(
      {
        stdin: this.stdin,
        stdout: this.stdout,
        gone: this.ended.catch(() => {}),
        terminate: () => this.#signal("TERM"),
        kill: () => {
          this.#signal("KILL");
          this.#channel.close();
        },
      },
      how,
    );
    return this.#ending;
  }

  /** By a command of its own: OpenSSH refuses the protocol's signals for root, and older ones have none. */
  #signal(name: "TERM" | "KILL"): void {
    if (this.#pidLine.pid === undefined) return;
    try {
      this.#client.exec(shellLine(killArgv(name, this.#pidLine.pid)), (_error, channel) => {
        channel?.resume();
        channel?.stderr.resume();
      });
    } catch {
      // the connection is gone, and with it what the command reads and writes
    }
  }
}

function waitForEnd(
  channel: ClientChannel,
  tail: StderrTail,
  label: string,
  settle: (lost: Error | undefined) => void,
): Promise<CommandExit> {
  return new Promise((resolve, reject) => {
    let exit: Omit<CommandExit, "stderr"> | undefined;
    channel.once("exit", (status: number | null, name?: string) => {
      exit = { exit: status ?? undefined, signal: status === null ? name : undefined };
    });
    channel.once("close", () => {
      if (exit !== undefined) {
        settle(undefined);
        resolve({ ...exit, stderr: tail.text() });
        return;
      }
      const lost = new DropsError(
        "host/unreachable",
        `the connection to ${label} was lost while a command was running`,
      );
      settle(lost);
      reject(lost);
    });
  });
}
