import { commandFailed } from "../host/expect-success.ts";
import type { CommandExit, Host, RunningCommand } from "../host/host.ts";
import type { Cancel } from "../lib/cancel.ts";
import { DropsError } from "../lib/errors.ts";
import { ByteSink } from "./byte-sink.ts";
import type { PackReader } from "./pack-reader.ts";
import type { RestorePlan } from "./plan.ts";
import { writeTar } from "./tar-out.ts";

const MOST_WARNINGS = 5;

/**
 * Write a plan's entries into an empty directory of this machine, through GNU tar. Answers what the operator should know.
 *
 * @throws DropsError space/low, host/command-failed; whatever the packs throw. What was written so far is still there
 */
export async function extract(
  plan: RestorePlan,
  packs: PackReader,
  into: { readonly host: Host; readonly directory: string },
  how: Cancel & { readonly onBytes: (bytes: number) => void },
): Promise<string[]> {
  const { host, directory } = into;
  const isRoot = host.user.uid === 0;
  await using tar = await host.start(tarCommand(directory, isRoot), {
    signal: how.signal,
    env: { LC_ALL: "C", TAR_OPTIONS: "" },
  });
  tar.stdout.resume();
  const failure = await feed(plan, packs, tar, how);
  how.signal.throwIfAborted();
  if (failure instanceof DropsError) throw failure; // closing tar ends it before the archive's end
  tar.stdin.end();
  const ended = await tar.ended;
  if (ended.exit !== 0) throw tarFailure(ended, directory);
  if (failure) throw failure;
  const warnings = ended.stderr.split("\n").filter((line) => line.trim() !== "");
  return [...warnings.slice(0, MOST_WARNINGS), ...ownerNotes(plan, host)];
}

/** Answers what went wrong: a foreseen failure of ours, or that tar takes no more, which its exit status explains. */
async function feed(
  plan: RestorePlan,
  packs: PackReader,
  tar: RunningCommand,
  how: Cancel & { readonly onBytes: (bytes: number) => void },
): Promise<Error | undefined> {
  using sink = new ByteSink(tar.stdin, how);
  try {
    await writeTar(plan, packs, sink, how.onBytes);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

function tarCommand(directory: string, isRoot: boolean): string[] {
  return [
    "tar",
    "--extract",
    "--file=-",
    `--directory=${directory}`,
    "--preserve-permissions",
    isRoot ? "--same-owner" : "--no-same-owner",
    "--xattrs",
    "--xattrs-include=*",
    "--delay-directory-restore",
    "--blocking-factor=512",
  ];
}

function tarFailure(ended: CommandExit, directory: string): DropsError {
  if (/No space left on device|Disk quota exceeded/.test(ended.stderr)) {
    return new DropsError("space/low", `the disk became full while restoring into ${directory}`, {
      hint: "--to on a larger file system, or --only SOURCE",
    });
  }
  return commandFailed(`writing files into ${directory} with tar`, ended);
}

function ownerNotes(plan: RestorePlan, host: Host): string[] {
  if (host.user.uid === 0) return [];
  const all = [plan.directories, plan.files, plan.links, plan.hardLinks];
  if (all.every((shelf) => shelf.every(({ owner }) => owner.uid === host.user.uid))) return [];
  return [`not root: everything belongs to ${host.user.name}; restore as root to have the owners back`];
}
