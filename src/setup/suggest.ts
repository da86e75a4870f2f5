import type { Found } from "./look.ts";

/** A source that a policy may have. */
export interface Suggestion {
  readonly name: string;
  readonly what:
    | { readonly kind: "postgres"; readonly database: string }
    | { readonly kind: "rocksdb"; readonly path: string }
    | { readonly kind: "files"; readonly path: string; readonly exclude: readonly string[] };
  /** The service whose data it is: stopped while it is put back. */
  readonly unit: string | undefined;
}

/** The system's own, and what is backed up otherwise: a server's files without its dump are no backup. */
const NOT_FILES = /^(systemd-|drops-|postgresql|dbus|polkit|nscd|sshd|udisks)/;
/** What belongs to RocksDB in its directory, which may hold other files, such as uploads. */
const OF_ROCKSDB = [
  ...["CURRENT", "IDENTITY", "LOCK", "LOG", "LOG.old.*", "MANIFEST-*", "OPTIONS-*"],
  ...["??????.sst", "???????.sst", "??????.log", "???????.log", "??????.blob", "???????.blob"],
];

/** In capture order: PostgreSQL, RocksDB, files. Names differ. Pure. */
export function suggest({ rocksdb, databases, states }: Found): Suggestion[] {
  const taken = new Set<string>();
  const named = (text: string, end = ""): string => nameFor(text, end, taken);
  const owner = (path: string) => states.find((state) => isIn(path, state.path))?.unit;
  return [
    ...databases.map((database): Suggestion => {
      return { name: named(database, "-db"), what: { kind: "postgres", database }, unit: undefined };
    }),
    ...rocksdb.map((path): Suggestion => {
      return { name: named(serviceOf(path), "-rocksdb"), what: { kind: "rocksdb", path }, unit: owner(path) };
    }),
    ...states
      .filter(({ unit }) => !NOT_FILES.test(unit))
      .map(({ path, unit }) => filesAt(path, named(serviceOf(path)), unit, rocksdb)),
  ];
}

/** A files source; databases inside are left to their own sources. */
export function filesAt(
  path: string,
  name: string,
  unit: string | undefined,
  rocksdb: readonly string[],
): Suggestion {
  const inside = rocksdb.filter((directory) => isIn(directory, path));
  const exclude = inside.flatMap((directory) => OF_ROCKSDB.map((file) => `${directory}/${file}`));
  return { name, what: { kind: "files", path, exclude }, unit };
}

/** `/var/lib/matrix-continuwuity/db` as `matrix-continuwuity`. */
function serviceOf(path: string): string {
  const parts = path.split("/").filter((part) => part !== "" && !["db", "database", "data"].includes(part));
  return parts.at(-1) ?? "data";
}

/** What a source may be called, unlike any before. `taken` grows. */
export function nameFor(text: string, end: string, taken: Set<string>): string {
  const plain = text
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^[^a-z]+|-+$/g, "")
    .slice(0, 40);
  const base = (plain === "" ? "data" : plain) + end;
  let name = base;
  for (let count = 2; taken.has(name); count++) name = `${base}-${count}`;
  taken.add(name);
  return name;
}

function isIn(path: string, directory: string): boolean {
  return path === directory || path.startsWith(`${directory}/`);
}
