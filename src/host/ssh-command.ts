import type { Client, ClientChannel } from "ssh2";
import { DropsError } from "../lib/errors.ts";
import { runningCommand } from "./ending.ts";
import type { CommandExit, RunningCommand } from "./host.ts";
import { killArgv, PidLine, shellLine } from "./quote.ts";
import { ChannelInput, ChannelOutput } from "./ssh-channel.ts";
import { StderrTail } from "./stderr-tail.ts";

/** A command that runs on the other side of a channel. `label` names the host in the failure when it is lost. */
export function sshCommand(
  client: Client,
  channel: ClientChannel,
  label: string,
  signal: AbortSignal,
): RunningCommand {
  const tail = new StderrTail();
  const pidLine = new PidLine();
  const stdin = new ChannelInput(channel);
  const stdout = new ChannelOutput(channel, (bytes) => tail.add(pidLine.rest(bytes)));
  stdout.on("error", () => {}); // whoever reads sees it too
  const exit = waitForEnd(channel, tail, label, (lost) => {
    stdin.finish(lost);
    stdout.finish(lost);
  });
  const terminate = () => sendSignal(client, pidLine.pid, "TERM");
  const kill = () => {
    sendSignal(client, pidLine.pid, "KILL");
    channel.close();
  };
  return runningCommand({ stdin, stdout, exit, terminate, kill }, signal);
}

/** By a command of its own: OpenSSH refuses the protocol's signals for root, and older ones have none. */
function sendSignal(client: Client, pid: number | undefined, name: "TERM" | "KILL"): void {
  if (pid === undefined) return;
  try {
    client.exec(shellLine(killArgv(name, pid)), (_error, channel) => {
      channel?.resume();
      channel?.stderr.resume();
    });
  } catch {
    // the connection is gone, and with it what the command reads and writes
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
