import { posix } from "node:path";
import * as z from "zod";
import type { Cancel } from "../../lib/cancel.ts";
import type { FilesPolicy, RocksdbPolicy } from "../../policy/schema.ts";
import type { OpenSource } from "../../restore/open-source.ts";
import type { EntryType, ManifestEntry } from "../../snapshot/entry.ts";
import { shownPath } from "../../source/files/shown-path.ts";
import { rawPath } from "../../source/scope.ts";
import { hostPath } from "./record.ts";

const MOST_SHOWN = 5;

export interface SurveyedSource {
  readonly opened: OpenSource;
  readonly policy: RocksdbPolicy | FilesPolicy;
}

/** Something of a source that has a place of its own on the host. */
export interface WantedPlace {
  readonly source: string;
  /** See PathPiece. */
  readonly from: string;
  readonly type: EntryType;
  readonly owner: TopOwner;
  /** Path of the host, as the policy says it. */
  readonly place: string;
  /** What is at its place is replaced, not what a symlink there leads to. */
  readonly itself: boolean;
  /** The symlink was captured too, with what it leads to. */
  readonly link?: { readonly from: string; readonly target: string };
}

export interface TopOwner {
  readonly uid: number;
  readonly gid: number;
  readonly user: string | undefined;
  readonly group: string | undefined;
}

export interface SourceSurvey {
  readonly wanted: readonly WantedPlace[];
  readonly users: ReadonlySet<string>;
  readonly groups: ReadonlySet<string>;
  readonly notes: readonly string[];
}

const Directory = z.object({
  uid: z.int(),
  gid: z.int(),
  user: z.string().optional(),
  group: z.string().optional(),
  mode: z.string().regex(/^[0-7]{3,4}$/),
});

/** What the head of a RocksDB manifest says of the database directory, which has no entry. */
export function databaseDirectory({ head }: OpenSource): z.infer<typeof Directory> {
  const found = Directory.safeParse(head.facts["directory"]);
  return found.success ? found.data : { uid: 0, gid: 0, mode: "0700" };
}

/** Read a manifest for what belongs where. Throws as its reading does. */
export async function surveySource({ opened, policy }: SurveyedSource, how: Cancel): Promise<SourceSurvey> {
  const scan = new Scan(policy.kind === "files" ? tidyPaths(policy.paths) : []);
  for await (const entry of (await opened.manifest.entries(how)).entries) scan.add(entry, policy.kind);
  const { users, groups } = scan;
  if (policy.kind === "files") return { ...wantedFiles(policy, scan), users, groups };
  const { uid, gid, user, group } = databaseDirectory(opened);
  if (user !== undefined) users.add(user);
  if (group !== undefined) groups.add(group);
  const place = hostPath(tidyPaths([policy.path])[0] ?? "");
  const owner = { uid, gid, user, group };
  const wanted = [{ source: policy.name, from: "", type: "dir" as const, owner, place, itself: false }];
  return { wanted, users, groups, notes: [] };
}

/** What is noticed on the way through a manifest. */
class Scan {
  readonly asked: readonly string[];
  readonly users = new Set<string>();
  readonly groups = new Set<string>();
  /** Of what the policy asks for. */
  readonly found = new Map<string, ManifestEntry>();
  /** Entries that no other one holds. */
  readonly tops = new Map<string, ManifestEntry>();

  constructor(asked: readonly string[]) {
    this.asked = asked;
  }

  add(entry: ManifestEntry, kind: "files" | "rocksdb"): void {
    if (entry.user !== undefined) this.users.add(entry.user);
    if (entry.group !== undefined) this.groups.add(entry.group);
    if (kind === "rocksdb") return;
    const path = entry.path.toString("latin1");
    if (this.asked.includes(path)) this.found.set(path, entry);
    if (!hasTopAbove(path, this.tops)) this.tops.set(path, entry);
  }
}

function wantedFiles(policy: FilesPolicy, scan: Scan): Pick<SourceSurvey, "wanted" | "notes"> {
  const { asked, found, tops } = scan;
  const isInner = (path: string) => asked.some((above) => above !== path && path.startsWith(`${above}/`));
  const ends = new Map([...tops].filter(([path]) => !asked.includes(path)));
  const wanted = asked.flatMap((path) => {
    const entry = found.get(path);
    return entry ? wantedAt(policy.name, path, entry, { isInner: isInner(path), ends, tops }) : [];
  });
  const gone = asked.filter((path) => !found.has(path) && !isInner(path));
  const { exclude } = policy;
  const more = exclude.length > MOST_SHOWN ? " and more" : "";
  const notes = gone.map(
    (path) => `/${shownPath(path)} was not there when it was captured: what is there now stays`,
  );
  if (exclude.length > 0)
    notes.push(
      `excluded from the capture, so not in the snapshot: what is there now stays: ${exclude.slice(0, MOST_SHOWN).join(", ")}${more}`,
    );
  return { wanted, notes };
}

/** What the policy names is replaced; what lies in another path of the source comes with that. */
function wantedAt(
  source: string,
  path: string,
  entry: ManifestEntry,
  among: {
    readonly isInner: boolean;
    readonly ends: Map<string, ManifestEntry>;
    readonly tops: ReadonlyMap<string, ManifestEntry>;
  },
): readonly WantedPlace[] {
  const isLink = entry.type === "symlink";
  const place = hostPath(path);
  const end = isLink ? takeEnd(path, entry, among.ends, among.tops) : undefined;
  if (!end) {
    if (among.isInner) return [];
    return [{ source, from: path, type: entry.type, owner: ownerOf(entry), place, itself: isLink }];
  }
  const [from, top] = end;
  const what = { source, from, type: top.type, owner: ownerOf(top), itself: false };
  if (among.isInner) return [{ ...what, place: hostPath(from) }];
  return [{ ...what, place, link: { from: path, target: hostPath(from) } }];
}

/** What a symlink that the policy names leads to, when that was captured on its own. */
function takeEnd(
  path: string,
  entry: ManifestEntry,
  ends: Map<string, ManifestEntry>,
  tops: ReadonlyMap<string, ManifestEntry>,
): [string, ManifestEntry] | undefined {
  const says = entry.target?.toString("latin1") ?? "";
  const plain = posix.resolve(`/${posix.dirname(path)}`, says).slice(1);
  // by way of other symlinks its name may be another: then it is the one that nothing else leads to
  const [only, ...others] = ends.keys();
  const isElsewhere = tops.has(plain) || hasTopAbove(plain, tops) || others.length > 0;
  const end = ends.has(plain) ? plain : isElsewhere ? undefined : only;
  const top = end === undefined ? undefined : ends.get(end);
  if (end === undefined || top === undefined) return undefined;
  ends.delete(end);
  return [end, top];
}

function hasTopAbove(path: string, tops: ReadonlyMap<string, unknown>): boolean {
  for (let end = path.indexOf("/"); end > 0; end = path.indexOf("/", end + 1))
    if (tops.has(path.slice(0, end))) return true;
  return false;
}

function ownerOf({ uid, gid, user, group }: ManifestEntry): TopOwner {
  return { uid, gid, user, group };
}

/** As the capture has them: no doubled slashes, no `.`, none at the end. */
function tidyPaths(paths: readonly string[]): readonly string[] {
  const tidied = paths.map((path) => rawPath(posix.normalize(path)).replace(/\/+$/, ""));
  return [...new Set(tidied)];
}
