import type { RunningCommand } from "../host/host.ts";
import { DropsError } from "../lib/errors.ts";
import { usedUp } from "../lib/used-up.ts";
import type { CommandPolicy } from "../policy/schema.ts";
import type { CaptureContext, FrozenSource } from "./source.ts";

/**
 * The standard output of a command, as the entry `output`. Nothing can be frozen: the command runs when it is shipped.
 * A stream that ended is not success: unless the exit status is 0, `ship` throws source/failed and there is no entry.
 */
export async function freezeCommand(source: CommandPolicy, how: CaptureContext): Promise<FrozenSource> {
  const capturedAt = how.now();
  return {
    capturedAt,
    facts: {
      kind: "command",
      argv: source.argv,
      ...(source.run_as === undefined ? {} : { run_as: source.run_as }),
      ...(source.restore_hint === undefined ? {} : { restore_hint: source.restore_hint }),
    },
    ship: async (into, { signal }) => {
      await using command = await how.host.start(source.argv, { as: source.run_as, signal });
      command.stdin.end();
      await into.file(
        {
          path: Buffer.from("output"),
          type: "file",
          mode: 0o600,
          uid: 0,
          gid: 0,
          mtime: BigInt(capturedAt.getTime()) * 1_000_000n,
        },
        untilSuccess(command, `command ${source.argv[0]} of source ${source.name} on ${how.host.label}`),
        { cutting: "content", signal },
      );
      const { stderr } = await command.ended;
      if (stderr !== "") into.note(`${source.argv[0]} said: ${lastLine(stderr)}`);
    },
    async [Symbol.asyncDispose]() {}, // a command that runs is closed by ship
  };
}

async function* untilSuccess(command: RunningCommand, what: string): AsyncGenerator<Uint8Array> {
  yield* usedUp(command.stdout);
  const ended = await command.ended;
  if (ended.exit === 0) return;
  const status =
    ended.exit === undefined ? `was ended by ${ended.signal ?? "a signal"}` : `failed (exit ${ended.exit})`;
  const said = lastLine(ended.stderr);
  throw new DropsError("source/failed", `${what} ${status}${said === "" ? "" : `: ${said}`}`, {
    hint: ended.exit === 127 ? "install it, or give its whole path in argv of the policy" : undefined,
  });
}

function lastLine(stderr: string): string {
  return (stderr.trimEnd().split("\n").at(-1) ?? "").trim().slice(0, 500);
}
