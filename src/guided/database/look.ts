import { refused } from "../../lib/errors.ts";
import type { DatabaseRow } from "../../source/postgres/restore/admin.ts";
import type { ReplacementNames } from "../../source/postgres/restore/names.ts";
import type { ReplacementState } from "../run/replacement.ts";
import type { DatabaseRecord } from "./record.ts";

/** What is there: what was noted, and the databases of it that the server has. */
export interface DatabaseLook {
  readonly record: DatabaseRecord | undefined;
  readonly rows: readonly DatabaseRow[];
  /** The one that is brought or was brought, whatever it is called. */
  readonly fresh: DatabaseRow | undefined;
  /** The one that was in place when it was noted. */
  readonly old: DatabaseRow | undefined;
}

/** Find by their ids what was noted. Pure. */
export function lookAt(
  record: DatabaseRecord | undefined,
  rows: readonly DatabaseRow[],
  names: Pick<ReplacementNames, "staged">,
): DatabaseLook {
  const byId = (oid: string | undefined) => rows.find((row) => row.oid === oid);
  const fresh = byId(record?.newOid) ?? unnoted(record, rows, names.staged);
  return { record, rows, fresh, old: byId(record?.old?.oid) };
}

/** The one that was made when its id could not be noted any more. */
function unnoted(
  record: DatabaseRecord | undefined,
  rows: readonly DatabaseRow[],
  staged: string,
): DatabaseRow | undefined {
  if (record === undefined || record.newOid !== undefined) return undefined;
  return rows.find(({ name, limit }) => name === staged && limit === record.token);
}

/** How far it is. Throws safety/refused when somebody renamed the new database. Pure. */
export function stateOf(
  { record, fresh, old }: DatabaseLook,
  names: Pick<ReplacementNames, "staged" | "kept"> & { readonly name: string },
): ReplacementState {
  if (record === undefined) return "untouched";
  if (!record.staged) return "staging";
  if (record.finishing && fresh?.name === names.name && old === undefined) return "finished";
  if (fresh?.name === names.name || old?.name === names.kept) return "swapped";
  if (fresh === undefined) return "staging"; // somebody dropped it: begun anew
  if (fresh.name === names.staged) return "staged";
  throw refused(
    `the database that was restored for ${names.name} is called ${fresh.name} now (object id ${fresh.oid})`,
    `ALTER DATABASE … RENAME it back to ${names.staged} or ${names.name}`,
  );
}
