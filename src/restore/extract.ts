import { commandFailed } from "../host/expect-success.ts";
import type { CommandExit, Host, RunningCommand } from "../host/host.ts";
import type { Cancel } from "../lib/cancel.ts";
import { DropsError } from "../lib/errors.ts";
import { Few } from "../source/files/few.ts";
import { ByteSink } from "./byte-sink.ts";
import type { PackReader } from "./pack-reader.ts";
import type { RestorePlan } from "./plan.ts";
import { writeTar } from "./tar-out.ts";

const MOST_WARNINGS = 5;
/** Told by a count instead. */
const DENIED_ATTRIBUTE = /: Cannot set '(?:trusted|security)\.(?!selinux').*: Operation not permitted$/;
/** Attributes that root alone may set. */
const OF_ROOT = /^(?:trusted|security)\.(?!selinux$)/;
/** Of `ENTER`; tar has no such one. */
const SWAPPED = 63;
/** What to do about whoever swaps directories meanwhile; a sentence may go on after it. */
export const SWAPPED_HINT =
  "look who owns the directories on the way (namei -l PATH), and end what runs as that user";

/**
 * Write a plan's entries into an empty directory of a host, through GNU tar. Answers what the operator should know.
 *
 * @param into `directory`: its real path, of the user who writes; when it leads elsewhere nothing is written
 * @throws DropsError space/low, safety/refused, host/command-failed; whatever the packs throw. What was written so far is
 * still there
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
  const warnings = ended.stderr
    .split("\n")
    .filter((line) => line.trim() !== "" && !DENIED_ATTRIBUTE.test(line));
  return [...warnings.slice(0, MOST_WARNINGS), ...(isRoot ? [] : notesForOthers(plan, host))];
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
    "sh",
    "-c",
    ENTER,
    "drops-extract",
    directory,
    "tar",
    "--extract",
    "--file=-",
    "--preserve-permissions",
    isRoot ? "--same-owner" : "--no-same-owner",
    "--xattrs",
    "--xattrs-include=*",
    "--delay-directory-restore",
    "--blocking-factor=512",
  ];
}

/** Goes to a directory, however its name is swapped meanwhile, and runs a command in it. */
const ENTER = `
cd -P -- "$1" && [ "$(pwd -P && echo .)" = "$1
." ] && [ "$(stat -c %u .)" = "$(id -u)" ] || {
  printf 'another user put something else in the place of %s\\n' "$1" >&2
  exit ${SWAPPED}
}
shift
exec "$@"`;

function tarFailure(ended: CommandExit, directory: string): DropsError {
  if (/No space left on device|Disk quota exceeded/.test(ended.stderr)) {
    return new DropsError("space/low", `the disk became full while restoring into ${directory}`, {
      hint: "use --to on a larger file system, or --only SOURCE",
    });
  }
  if (ended.exit === SWAPPED)
    return new DropsError("safety/refused", ended.stderr.trim(), { hint: SWAPPED_HINT });
  return commandFailed(`writing files into ${directory} with tar`, ended);
}

/** What only root can bring back, and did not come back. */
function notesForOthers({ directories, files, links, hardLinks }: RestorePlan, { user }: Host): string[] {
  const attributed = new Few();
  let isAllOurs = true;
  for (const { owner, path, xattrs } of [directories, files, links, hardLinks].flat()) {
    isAllOurs &&= owner.uid === user.uid;
    if (xattrs && Object.keys(xattrs).some((name) => OF_ROOT.test(name)))
      attributed.add(Buffer.from(path, "latin1"));
  }
  const owners = `not root: everything belongs to ${user.name}; restore as root to have the owners back`;
  const lost = `not root: attributes that only root may set (trusted.*, security.*) are not back on ${attributed.count} files: ${attributed}`;
  return [...(isAllOurs ? [] : [owners]), ...(attributed.count === 0 ? [] : [lost])];
}
