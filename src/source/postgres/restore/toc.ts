/** One line of `pg_restore --list`. */
export interface TocEntry {
  /** Number of the entry, what `pg_restore -L` goes by. */
  readonly id: string;
  /** `1259 16385 TABLE public message owner`, from the table of contents: only text, made by who made the dump. */
  readonly text: string;
}

/** What of a table of contents is loaded when. Entries are named by their number alone. */
export interface LoadingLists {
  /** Before the extensions, which may lie in them. */
  readonly schemas: readonly string[];
  readonly main: readonly string[];
  /** Privileges, and what is computed with them. */
  readonly last: readonly string[];
  /** Roles that own something in the dump. */
  readonly owners: readonly string[];
  /** Names of extensions, in an order in which they can be made. */
  readonly extensions: readonly string[];
  /** What is left out, in words. */
  readonly leftOut: readonly string[];
}

const LINE = /^(\d+); (.*)$/;
/** Catalogue and object id, then what it is. */
const ENTRY = /^\d+ \d+ (?<what>.*)$/;

/** Comments of the list begin with `;`. */
export function parseToc(list: string): readonly TocEntry[] {
  return list.split("\n").flatMap((line) => {
    const [, id, text] = LINE.exec(line) ?? [];
    return id === undefined || text === undefined ? [] : [{ id, text }];
  });
}

/**
 * Sort a dump's entries for loading by a role that is no superuser. Extensions are made beforehand, by who may; a
 * subscription would go on taking what is published for the old database.
 *
 * @param roles names that may own something (the list does not tell where an owner's name begins), and whether each is a superuser
 */
export function planLoading(
  toc: readonly TocEntry[],
  roles: ReadonlyMap<string, { readonly superuser: boolean }>,
): LoadingLists {
  const lists: Record<"schemas" | "main" | "last", string[]> = { schemas: [], main: [], last: [] };
  const owners = new Set<string>();
  const extensions: string[] = [];
  const leftOut: string[] = [];
  for (const { id, text } of toc) {
    const what = ENTRY.exec(text)?.groups?.["what"] ?? "";
    const owner = ownerOf(what, [...roles.keys()]);
    if (/^(COMMENT - |SECURITY LABEL - )?EXTENSION /.test(what)) {
      extensions.push(...(/^EXTENSION - (.*) $/.exec(what)?.slice(1) ?? []));
    } else if (isForSuperuser(what, owner !== undefined && roles.get(owner)?.superuser === true)) {
      leftOut.push(what);
    } else {
      if (owner !== undefined) owners.add(owner);
      lists[listOf(what)].push(id);
    }
  }
  return { ...lists, owners: [...owners].sort(), extensions, leftOut };
}

function listOf(what: string): "schemas" | "main" | "last" {
  if (/^SCHEMA /.test(what)) return "schemas";
  return /^(ACL|DEFAULT ACL|MATERIALIZED VIEW DATA|EVENT TRIGGER) /.test(what) ? "last" : "main";
}

/** What a superuser's objects will be given by default; and subscriptions. */
function isForSuperuser(what: string, ownedBySuperuser: boolean): boolean {
  return (
    /^(COMMENT - |SECURITY LABEL - )?SUBSCRIPTION /.test(what) ||
    (ownedBySuperuser && /^DEFAULT ACL /.test(what))
  );
}

/** The longest, when names end alike. */
function ownerOf(what: string, roles: readonly string[]): string | undefined {
  return roles.filter((role) => what.endsWith(` ${shownName(role)}`)).sort((a, b) => b.length - a.length)[0];
}

/** As pg_restore shows names: line breaks as blanks. */
function shownName(name: string): string {
  return name.replace(/[\n\r]/g, " ");
}
