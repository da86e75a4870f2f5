import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as z from "zod";
import { ANY_EXIT } from "../host/run-to-end.ts";
import type { Cancel } from "../lib/cancel.ts";
import { someOf } from "../lib/words.ts";
import { CopiedDatabase } from "../source/sqlite/facts.ts";
import { type CheckFinding, couldNotRun, failed } from "./checks.ts";
import type { DrillContext, DrilledSource } from "./drill-context.ts";

const MOST_OUTPUT = 4 * 1024 * 1024;
const Looked = z.object({ integrity: z.string(), rows: z.record(z.string(), z.number()) });
const Databases = z.array(CopiedDatabase);

/** What the backup copied as databases of SQLite in a source; empty for a source that has none, and for snapshots of earlier versions. */
export function databasesIn({ head }: DrilledSource): readonly CopiedDatabase[] {
  return Databases.safeParse(head.facts["sqlite"]).data ?? [];
}

/** Every database that was copied is opened by the real library, is whole, and has the rows that it had. The tree must have been handed over. */
export async function checkSqlite(
  { book, sandbox, node }: DrillContext,
  source: DrilledSource,
  how: Cancel,
): Promise<void> {
  const { name, directory } = source;
  const databases = databasesIn(source);
  if (databases.length === 0) return;
  const title = {
    id: `${name}/sqlite`,
    source: name,
    name: "SQLite opens every database, finds it whole, and counts the rows of the capture",
  };
  const work = async (): Promise<CheckFinding | string> => {
    const program = fileURLToPath(new URL(programFile(), import.meta.url));
    const files = databases.map(({ path }) => join(directory, path));
    const argv = [node, "--disable-warning=ExperimentalWarning", program, ...files];
    const ran = await sandbox.run(argv, { ...how, okExits: ANY_EXIT, maxStdout: MOST_OUTPUT });
    if (ran.exit !== 0) {
      const why = ran.stderr.trim().split("\n").at(-1) ?? "";
      return couldNotRun(
        `${sandbox.user.name} cannot run it: ${why.slice(0, 500)}`,
        "install drops where every user may read it",
      );
    }
    const lines = ran.stdout.toString().trimEnd().split("\n");
    const problems = databases.flatMap((database, at) =>
      differences(database, Looked.parse(JSON.parse(lines[at] ?? ""))),
    );
    if (problems.length > 0)
      return failed(someOf(problems, { between: "; " }), "another date: drops drill --date …");
    return `${databases.length} whole`;
  };
  await book.run(title, work, how);
}

function differences({ path, rows = {} }: CopiedDatabase, found: z.infer<typeof Looked>): string[] {
  if (found.integrity !== "ok") return [`${path}: ${found.integrity}`];
  const other = Object.entries(rows).filter(([table, count]) => found.rows[table] !== count);
  return other.map(
    ([table, count]) => `${path}: table ${table} has ${found.rows[table] ?? "no"} rows and had ${count}`,
  );
}

function programFile(): string {
  return import.meta.url.endsWith(".ts") ? "./sqlite-library.ts" : "./sqlite-library.js";
}
