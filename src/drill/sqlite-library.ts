/**
 * A program of its own, run in the sandbox: opens restored databases of SQLite with the real library, checks them and counts their rows,
 * and prints a line of JSON for each. What the library does with hostile bytes then happens where it can do little harm. Arguments: the
 * files.
 */
import { DatabaseSync } from "node:sqlite";

for (const file of process.argv.slice(2)) process.stdout.write(`${JSON.stringify(look(file))}\n`);

function look(file: string): { readonly integrity: string; readonly rows: Readonly<Record<string, number>> } {
  try {
    const db = new DatabaseSync(file, { readOnly: true, allowExtension: false });
    const problems = db.prepare("PRAGMA integrity_check(10)").all();
    const tables = db.prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0").all();
    const rows = tables.map(({ name }): [string, number] => {
      const quoted = `"${String(name).replaceAll('"', '""')}"`;
      return [String(name), Number(db.prepare(`SELECT count(*) AS n FROM ${quoted}`).get()?.["n"])];
    });
    db.close();
    return {
      integrity: problems
        .map(({ integrity_check: words }) => String(words))
        .join("; ")
        .slice(0, 1000),
      rows: Object.fromEntries(rows.slice(0, 1000)),
    };
  } catch (error) {
    return { integrity: error instanceof Error ? error.message : String(error), rows: {} };
  }
}
