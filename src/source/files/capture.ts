import { dirname } from "node:path";
import type { Host } from "../../host/host.ts";
import { messageOf } from "../../lib/errors.ts";
import type { FilesPolicy } from "../../policy/schema.ts";
import type { CaptureContext, FrozenSource } from "../source.ts";
import { SqliteCopies } from "../sqlite/copies.ts";
import { attributedFiles } from "./attributed-files.ts";
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
  const { resolved, leadsTo, listing, unread, mounts, notes } = await findFiles(host, source, { signal });
  const { uids, gids } = listing.owners();
  const [users, groups] = await Promise.all([
    ownerNames(host, "passwd", uids, { signal }),
    ownerNames(host, "group", gids, { signal }),
  ]);
  context.say(`${source.name}: ${listing.length} files listed`);
  const databases = await SqliteCopies.make(host, listing, directoriesAbove(resolved), { signal });
  const sqlite = databases.facts(listing);
  return {
    capturedAt,
    facts: {
      paths: source.paths,
      exclude: resolved.exclude,
      leads_to: leadsTo,
      entries: listing.length,
      ...versions,
      ...(sqlite.length === 0 ? {} : { sqlite }),
    },
    ship: async (into, how) => {
      for (const note of notes) into.note(note);
      for (const { path, kind } of mounts)
        into.note(`${path} is another file system (${kind}) and not backed up: see one_file_system`);
      const names = { users, groups };
      const stop = new AbortController();
      const attributed = attributesNote(host, resolved, AbortSignal.any([how.signal, stop.signal])); // meanwhile
      try {
        await shipFiles(
          { source: source.name, context, listing, listedAt, names, unread, databases },
          into,
          how,
        );
        for (const note of await attributed) into.note(note);
      } finally {
        stop.abort();
      }
      const failure = unread.failure(source.name);
      if (failure) throw failure;
    },
    [Symbol.asyncDispose]: () => databases[Symbol.asyncDispose](),
  };
}

/** Where copies may lie: beside what is backed up, which has its file system and is not in the source. */
function directoriesAbove({ paths }: FilesPolicy): readonly string[] {
  return [...new Set(paths.map((path) => dirname(path)).filter((path) => path !== "/"))].slice(0, 8);
}

/** Fails only when all does. */
async function attributesNote(host: Host, source: FilesPolicy, signal: AbortSignal): Promise<string[]> {
  try {
    const found = await attributedFiles(host, source, { signal });
    return found.count === 0
      ? []
      : [`immutable or append-only, which a restore does not bring back: ${found}`];
  } catch (error) {
    return [`which files are immutable or append-only was not found out: ${messageOf(error)}`];
  }
}
