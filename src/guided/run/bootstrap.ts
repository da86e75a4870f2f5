import { chmod, lstat, mkdir, open, readdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Host } from "../../host/host.ts";
import type { Cancel } from "../../lib/cancel.ts";
import { DropsError, isFailure, refused } from "../../lib/errors.ts";
import { ownDirectory } from "../../lib/own-directory.ts";
import type { RestorePolicy, SourcePolicy } from "../../policy/schema.ts";
import { type ChosenSnapshot, chooseSnapshot, type SnapshotChoice } from "../../restore/choose.ts";
import { restoreSnapshot } from "../../restore/restore.ts";
import type { RestoreParts } from "../../restore/restore-run.ts";

export interface BootstrapFile {
  /** Where it will lie on the machine. */
  readonly path: string;
  readonly mode: number;
  /** Readable by its owner alone. */
  readonly secret: boolean;
}

export interface Bootstrapped {
  readonly chosen: ChosenSnapshot;
  readonly to: string;
  readonly files: readonly BootstrapFile[];
  /** Directory of the flake, or its bundle when it could not be unpacked. */
  readonly flake: string | undefined;
  readonly notes: readonly string[];
}

const GATE_TEXT = "A restore is under way: drops restore removes this file when everything is in place.\n";
const PRIVATE_KEY = /^ssh_host_[a-z0-9]+_key$/;
const BUNDLE = /^# v\d git bundle\n/;

/**
 * What a machine needs before its first boot, laid out as it will lie there (nixos-anywhere --extra-files): the
 * bootstrap sources, and the gate that keeps the services from starting empty. A flake's bundle goes beside.
 *
 * @param what `to`: a directory that is empty or does not exist; `restore` and `sources` of the policy
 * @throws DropsError safety/refused, data/missing when a source is not in the snapshot; as restoreSnapshot
 */
export async function bootstrap(
  parts: RestoreParts,
  what: {
    readonly choice: SnapshotChoice;
    readonly to: string;
    readonly restore: RestorePolicy;
    readonly sources: readonly SourcePolicy[];
  },
  how: Cancel,
): Promise<Bootstrapped> {
  const to = await makeEmpty(what.to);
  const { restore, sources } = what;
  const notes: string[] = [];
  const work = join(to, ".drops-bootstrap");
  let flake: string | undefined;
  let chosen: ChosenSnapshot;
  if (restore.bootstrap.length === 0) {
    chosen = await chooseSnapshot(parts, what.choice, how);
    notes.push("the policy names no bootstrap sources (restore.bootstrap): only the gate was written");
  } else {
    const restored = await restoreSnapshot(
      parts,
      { choice: what.choice, only: restore.bootstrap, to: work, onDamage: "refuse" },
      how,
    );
    chosen = restored.chosen;
    for (const { name, outcome, error } of restored.sources) {
      if (outcome === "failed")
        throw new DropsError(
          "data/missing",
          `bootstrap source ${name} could not be restored: ${error?.message ?? ""}`,
          { hint: "drops verify --read-data, then another date" },
        );
      const isCommand = sources.find((source) => source.name === name)?.kind === "command";
      if (!isCommand) await merge(join(work, name), to);
      else flake = await placeBundle(await parts.openHost(), join(work, name, "output"), to, notes, how);
    }
  }
  await rm(work, { recursive: true, force: true });
  await writeGate(to, restore.gate);
  const files = await settle(to);
  return { chosen, to, files, flake, notes };
}

/** Closed to everybody else until it is settled: what comes into it belongs to users who may exist on this machine too. */
async function makeEmpty(wanted: string): Promise<string> {
  const instead = "--to with a directory that is empty or does not exist";
  const own = "--to with a directory in which no other user can write, such as /root/extra";
  const to = await ownDirectory(wanted, { make: 0o700, instead: own });
  const names = await readdir(to);
  if (names.length > 0) throw refused(`${to} is not empty`, instead);
  await chmod(to, 0o700);
  return to;
}

/** Move what is in `from` into `to`; directories that are in both become one. */
async function merge(from: string, to: string): Promise<void> {
  for (const item of await readdir(from, { withFileTypes: true })) {
    const [source, target] = [join(from, item.name), join(to, item.name)];
    const there = await lstat(target).catch(() => undefined);
    if (item.isDirectory() && there?.isDirectory()) await merge(source, target);
    else if (there) throw refused(`two bootstrap sources have ${item.name}`);
    else await rename(source, target);
  }
}

async function writeGate(to: string, gate: string): Promise<void> {
  const path = join(to, gate);
  await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  await writeFile(path, GATE_TEXT, { mode: 0o644 });
}

/**
 * Directories become passable, since they will be those of the machine; private keys become private, whatever they were.
 * Answers all files.
 */
async function settle(to: string): Promise<BootstrapFile[]> {
  const files: BootstrapFile[] = [];
  const items = await readdir(to, { withFileTypes: true, recursive: true });
  for (const item of items) {
    const path = join(item.parentPath, item.name);
    if (item.isSymbolicLink()) continue;
    const isKey = item.isFile() && PRIVATE_KEY.test(item.name);
    if (isKey) await chmod(path, 0o600);
    const { mode } = await lstat(path);
    if (item.isDirectory()) await chmod(path, mode | 0o555);
    else files.push({ path: path.slice(to.length), mode: mode & 0o7777, secret: (mode & 0o077) === 0 });
  }
  await chmod(to, 0o755);
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** A git bundle is unpacked beside `to`; anything else is kept as a file there. */
async function placeBundle(
  host: Host,
  output: string,
  to: string,
  notes: string[],
  how: Cancel,
): Promise<string> {
  await using git = host;
  const kept = `${to}-flake.bundle`;
  const directory = `${to}-flake`;
  const isBundle = BUNDLE.test(await beginningOf(output));
  const isTaken = isBundle && !(await isMade(directory));
  if (isBundle && !isTaken) {
    try {
      await git.run(["git", "clone", "--quiet", "--", output, directory], how);
      await git.run(["git", "-C", directory, "remote", "remove", "origin"], how); // the bundle goes away
      return directory;
    } catch (error) {
      if (!isFailure(error, "host/command-failed")) throw error;
      await rm(directory, { recursive: true, force: true });
      notes.push(`the flake's bundle could not be unpacked: ${error.message}; by hand: git clone ${kept}`);
    }
  } else {
    notes.push(
      isBundle
        ? `${directory} is there already: git clone ${kept}`
        : `${kept} is no git bundle: it is kept as it was printed`,
    );
  }
  await rename(output, kept);
  return kept;
}

/** As a new directory, which git fills: so it is nobody else's. */
async function isMade(directory: string): Promise<boolean> {
  try {
    await mkdir(directory, { mode: 0o755 });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

async function beginningOf(file: string): Promise<string> {
  await using handle = await open(file, "r");
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(64), 0, 64, 0);
  return buffer.subarray(0, bytesRead).toString("latin1");
}
