import type { PostgresFacts } from "../facts.ts";

/** One line of `pg_restore --list`. */
export interface TocEntry {
  /** Number of the entry, what `pg_restore -L` goes by. */
  readonly id: string;
  /** `TABLE public message owner`, from the table of contents: only text, made by who made the dump. */
  readonly what: string;
}

/** Entries that are loaded in one run of pg_restore, by their numbers. */
export interface LoadingRun {
  readonly ids: readonly string[];
  /** Whether the dump's words on owners are followed; else everything belongs to who loads it. */
  readonly asDumped: boolean;
}

/** What of a table of contents is loaded when. */
export interface LoadingLists {
  readonly schemas: readonly LoadingRun[];
  /** All that is there before the first row. */
  readonly definitions: readonly LoadingRun[];
  /** Rows, and what is made from them. */
  readonly rows: readonly LoadingRun[];
  /** Privileges, and what is computed with them. */
  readonly last: readonly LoadingRun[];
  /** Roles that own something in the dump. */
  readonly owners: readonly string[];
  /** Names of extensions, in an order in which they can be made. */
  readonly extensions: readonly string[];
  /** Schemas that extensions are in, made with them, and who owns them; undefined: who loads. */
  readonly extensionSchemas: ReadonlyMap<string, string | undefined>;
  /** What is not tried, since only a superuser may have it. */
  readonly leftOut: readonly TocEntry[];
}

type Stage = "schemas" | "definitions" | "rows" | "last";

/** Catalogue and object id, then what it is. Comments of the list begin with `;`. */
const LINE = /^(\d+); \d+ \d+ (.*)$/;

export function parseToc(list: string): readonly TocEntry[] {
  return list.split("\n").flatMap((line) => {
    const [, id, what] = LINE.exec(line) ?? [];
    return id === undefined || what === undefined ? [] : [{ id, what }];
  });
}

/**
 * Sort a dump's entries for loading by a role that is no superuser and can give nothing to one. What a superuser owned is
 * loaded as the loading role's own, what others owned as theirs. Extensions are made beforehand, by who may; event triggers are
 * a superuser's alone, and a subscription would go on taking what is published for the old database.
 *
 * @param roles names that may own something (the list does not tell where an owner's name begins), and whether each is a superuser
 * @param facts of the database: what is its owner's may be the loading role's meanwhile
 */
export function planLoading(
  toc: readonly TocEntry[],
  roles: ReadonlyMap<string, { readonly superuser: boolean }>,
  { owner, extensions }: Pick<PostgresFacts, "owner" | "extensions">,
): LoadingLists {
  const isSuperuser = (name: string | undefined) => name !== undefined && roles.get(name)?.superuser === true;
  const owned = toc.map((entry) => ({ ...entry, owner: ownerOf(entry.what, [...roles.keys()]) }));
  const isDefault = ({ what, owner: by }: Owned) => isSuperuser(by) && /^DEFAULT ACL /.test(what);
  const leftOut = owned.filter((entry) => isForSuperuser(entry.what) || isDefault(entry));
  const left = new Set(leftOut);
  const made = extensionSchemasOf(owned, extensions);
  const wanted = owned.filter((entry) => !isExtension(entry.what) && !left.has(entry));
  const loaded = wanted.filter((entry) => !made.has(entry));
  const runs = { schemas: [], definitions: [], rows: [], last: [] } as Record<Stage, Run[]>;
  const asDumped = !loaded.some((entry) => isOwnable(entry.what) && isSuperuser(entry.owner));
  let stage: "definitions" | "rows" = "definitions";
  for (const { what, owner: by, id } of loaded) {
    if (HOLDS_DATA.test(what)) stage = "rows";
    const follows = !isOwnable(what) || by === owner || by === undefined ? undefined : !isSuperuser(by);
    addTo(runs[/^SCHEMA /.test(what) ? "schemas" : LAST.test(what) ? "last" : stage], id, follows, asDumped);
  }
  return {
    ...runs,
    owners: [...new Set(wanted.filter(isOwners).flatMap((entry) => entry.owner ?? []))].sort(),
    extensionSchemas: new Map(
      Array.from(made, ([{ owner: by }, schema]) => [schema, isSuperuser(by) ? undefined : by]),
    ),
    extensions: toc.flatMap(({ what }) => /^EXTENSION - (.*) $/.exec(what)?.slice(1) ?? []),
    leftOut,
  };
}

interface Owned extends TocEntry {
  readonly owner: string | undefined;
}

/** The entries that make schemas of extensions, with the schema's name. The schema public is there already. */
function extensionSchemasOf(
  toc: readonly Owned[],
  extensions: Pick<PostgresFacts, "extensions">["extensions"],
): ReadonlyMap<Owned, string> {
  const names = new Map(extensions.map(({ schema }) => [`SCHEMA - ${shownName(schema)} `, schema]));
  names.delete("SCHEMA - public ");
  return new Map(
    toc.flatMap((entry) => {
      const schema = names.get(
        entry.owner === undefined ? "" : entry.what.slice(0, -shownName(entry.owner).length),
      );
      return schema === undefined ? [] : [[entry, schema] as const];
    }),
  );
}

interface Run {
  readonly ids: string[];
  readonly asDumped: boolean;
}

/** To the run that is being made, or to a new one when that takes owners otherwise than this entry needs it. */
function addTo(runs: Run[], id: string, wanted: boolean | undefined, usual: boolean): void {
  const current = runs.at(-1);
  if (current && (wanted === undefined || wanted === current.asDumped)) current.ids.push(id);
  else runs.push({ ids: [id], asDumped: wanted ?? usual });
}

const HOLDS_DATA = /^(TABLE DATA|BLOB|BLOBS|BLOB METADATA|SEQUENCE SET) /;
const LAST = /^(ACL|DEFAULT ACL|MATERIALIZED VIEW DATA) /;
/** What pg_restore makes without a word on its owner (pg_backup_archiver.c, _printTocEntry). */
const OWNERLESS =
  /^(TABLE DATA|BLOBS|SEQUENCE SET|SEQUENCE OWNED BY|DEFAULT|CONSTRAINT|CHECK CONSTRAINT|FK CONSTRAINT|INDEX|INDEX ATTACH|TABLE ATTACH|TRIGGER|RULE|POLICY|ROW SECURITY|COMMENT|SECURITY LABEL|ACL|DEFAULT ACL|MATERIALIZED VIEW DATA|CAST|TRANSFORM|ACCESS METHOD|USER MAPPING|PUBLICATION TABLE|PUBLICATION TABLES IN SCHEMA|SHELL TYPE) /;

function isOwnable(what: string): boolean {
  return !OWNERLESS.test(what);
}

/** Who loads must be able to become its owner. */
function isOwners({ what }: { readonly what: string }): boolean {
  return isOwnable(what) || /^DEFAULT ACL /.test(what);
}

function isExtension(what: string): boolean {
  return /^(COMMENT - |SECURITY LABEL - )?EXTENSION /.test(what);
}

function isForSuperuser(what: string): boolean {
  return /^(COMMENT - |SECURITY LABEL - )?(SUBSCRIPTION|EVENT TRIGGER) /.test(what);
}

/** The longest, when names end alike. */
function ownerOf(what: string, roles: readonly string[]): string | undefined {
  return roles.filter((role) => what.endsWith(` ${shownName(role)}`)).sort((a, b) => b.length - a.length)[0];
}

/** As pg_restore shows names: line breaks as blanks. */
function shownName(name: string): string {
  return name.replace(/[\n\r]/g, " ");
}
