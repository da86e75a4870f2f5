import type { Tree } from "../doctor/host-state.ts";
import type { Found } from "./look.ts";

/** A source that a policy may have. */
export interface Suggestion {
  readonly name: string;
  readonly what:
    | {
        readonly kind: "postgres";
        readonly database: string;
        readonly container?: string | undefined;
        readonly user?: string | undefined;
      }
    | { readonly kind: "rocksdb"; readonly path: string }
    | { readonly kind: "files"; readonly path: string; readonly exclude: readonly string[] };
  /** The services whose data it is: stopped while it is put back. */
  readonly units: readonly string[];
}

/** The system's own, and what is backed up otherwise: a server's files without its dump are no backup. */
const NOT_FILES = /^(systemd-|drops-|postgresql|docker|containerd|podman|dbus|polkit|nscd|sshd|udisks)/;
/** Secrets and settings are small, caches are large. Bytes. */
const SMALL = 64 * 1024 * 1024;
/** What belongs to RocksDB in its directory, which may hold other files, such as uploads. */
const OF_ROCKSDB = [
  ...["CURRENT", "IDENTITY", "LOCK", "LOG", "LOG.old.*", "MANIFEST-*", "OPTIONS-*"],
  ...["??????.sst", "???????.sst", "??????.log", "???????.log", "??????.blob", "???????.blob"],
];

/** In capture order: PostgreSQL, RocksDB, files. Names differ, and nothing is in two of them. Pure. */
export function suggest({ rocksdb, databases, states, leadsTo, others, servers = [] }: Found): Suggestion[] {
  const taken = new Set<string>();
  const named = (text: string, end = ""): string => nameFor(text, end, taken);
  const real = (path: string) => leadsTo[path] ?? path;
  const services = states.filter(({ unit }) => !NOT_FILES.test(unit));
  const unitsIn = (within: (path: string) => boolean) => [
    ...new Set(states.filter(({ path, unit }) => unit !== "" && within(real(path))).map(({ unit }) => unit)),
  ];
  const outermost = services.filter(({ path }, index) =>
    services.every(
      (other, at) => !isIn(real(path), real(other.path)) || (real(path) === real(other.path) && index <= at),
    ),
  );
  return [
    ...databases.map(({ name: database, unit, container, user }): Suggestion => {
      const units = unit === undefined ? [] : [unit];
      const inside = container === undefined ? {} : { container, user };
      return { name: named(database, "-db"), what: { kind: "postgres", database, ...inside }, units };
    }),
    ...rocksdb.map((path): Suggestion => {
      const units = unitsIn((state) => isIn(path, state));
      return { name: named(serviceOf(path), "-rocksdb"), what: { kind: "rocksdb", path }, units };
    }),
    ...outermost.map(({ path }) => {
      const units = unitsIn((state) => isIn(state, real(path)));
      return filesAt({ path, real: real(path) }, named(serviceOf(path)), units, { rocksdb, files: servers });
    }),
    ...others
      .filter(({ bytes }) => bytes <= SMALL)
      .map(({ path }) => filesAt({ path, real: path }, named(serviceOf(path)), [], { rocksdb })),
  ];
}

/** What nobody is asked about: large, and of no service that runs. */
export function leftOut({ others }: Found): readonly Tree[] {
  return others.filter(({ bytes }) => bytes > SMALL);
}

/**
 * A files source; what has sources of its own inside is left to them.
 *
 * @param where the path, and where it leads to
 * @param others real paths of other sources
 */
export function filesAt(
  where: { readonly path: string; readonly real: string },
  name: string,
  units: readonly string[],
  others: { readonly rocksdb: readonly string[]; readonly files?: readonly string[] },
): Suggestion {
  const isInside = (directory: string) => isIn(directory, where.path) || isIn(directory, where.real);
  const databases = others.rocksdb.filter(isInside);
  const exclude = [
    ...databases.flatMap((directory) => OF_ROCKSDB.map((file) => `${directory}/${file}`)),
    ...(others.files ?? []).filter(isInside),
  ];
  return { name, what: { kind: "files", path: where.path, exclude }, units };
}

/** `/var/lib/matrix-continuwuity/db` as `matrix-continuwuity`. */
function serviceOf(path: string): string {
  const parts = path
    .split("/")
    .filter((part) => part !== "" && !["db", "database", "data", "_data"].includes(part));
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

/** Whether a path is a directory or lies in it. */
export function isIn(path: string, directory: string): boolean {
  return path === directory || path.startsWith(`${directory}/`);
}
