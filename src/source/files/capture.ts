import { DropsError } from "../../lib/errors.ts";
import { someOf } from "../../lib/some-of.ts";
import type { FilesPolicy } from "../../policy/schema.ts";
import type { CaptureContext, FrozenSource } from "../source.ts";
import { findFiles } from "./find.ts";
import { hostTime, ownerNames, requireGnuTools } from "./gnu-tools.ts";
import { shipFiles } from "./ship.ts";

/**
 * Freeze files: list them. Nothing holds their content still, so what changes until it is read is read as it then is,
 * and noted. `ship` reads what differs from the previous entries through one tar.
 *
 * @throws DropsError source/failed: GNU find or tar is missing, or a path does not exist; host failures
 */
export async function freezeFiles(source: FilesPolicy, context: CaptureContext): Promise<FrozenSource> {
  const { host, signal } = context;
  const versions = await requireGnuTools(host, { signal });
  const capturedAt = context.now();
  const listedAt = await hostTime(host, { signal });
  const { listing, unreadable, mounts, notes } = await findFiles(host, source, { signal });
  const { uids, gids } = listing.owners();
  const [users, groups] = await Promise.all([
    ownerNames(host, "passwd", uids, { signal }),
    ownerNames(host, "group", gids, { signal }),
  ]);
  context.say(`${source.name}: ${listing.length} files listed`);
  return {
    capturedAt,
    facts: { paths: source.paths, exclude: source.exclude, entries: listing.length, ...versions },
    ship: async (into, how) => {
      for (const note of notes) into.note(note);
      for (const { path, kind } of mounts)
        into.note(`${path} is another file system (${kind}) and not backed up: see one_file_system`);
      const bad = await shipFiles(
        { source: source.name, context, listing, listedAt, names: { users, groups } },
        into,
        how,
      );
      throwIfUnreadable(source, [...unreadable, ...bad]);
    },
    async [Symbol.asyncDispose]() {},
  };
}

/** Thrown after everything else was handed over, so that the next night does not read that again. */
function throwIfUnreadable(source: FilesPolicy, bad: readonly string[]): void {
  const complaints = [...new Map(bad.map((words) => [pathIn(words), words])).values()];
  if (complaints.length === 0) return;
  const files = complaints.length === 1 ? "1 file" : `${complaints.length} files`;
  throw new DropsError(
    "source/failed",
    `${files} of source ${source.name} could not be read: ${someOf(complaints, 5, "; ")}`,
    { hint: "log in to the host as a user who may read them, or name them under `exclude`" },
  );
}

/** What a complaint of find (`'/a': …`) or tar (`a: Cannot …`) is about, so that both count once. */
function pathIn(words: string): string {
  const found = /^'\/(.*)': |^(.*?): Cannot /.exec(words);
  return found?.[1] ?? found?.[2] ?? words;
}
