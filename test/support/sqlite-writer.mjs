// Writes into a database of SQLite without a pause, in one of its journal modes, and prints how many rows are committed.
// Arguments: file, journal mode, bytes of a row. Ends with its standard input.
import { DatabaseSync } from "node:sqlite";

const [file, mode, size] = process.argv.slice(2);
const db = new DatabaseSync(file);
db.exec(`PRAGMA journal_mode = ${mode}; PRAGMA busy_timeout = 60000; PRAGMA synchronous = OFF`);
db.exec("CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY, twin INTEGER, payload BLOB)");
db.exec("CREATE INDEX IF NOT EXISTS twins ON rows (twin)");
const insert = db.prepare("INSERT INTO rows (twin, payload) VALUES (?, randomblob(?))");
const drop = db.prepare("DELETE FROM rows WHERE id < ?");
let committed = 0;
process.stdin.on("end", () => process.exit(0)).resume();
function turn() {
  for (let count = 0; count < 20; count++) {
    db.exec("BEGIN IMMEDIATE");
    const { lastInsertRowid } = insert.run(0, Number(size));
    insert.run(Number(lastInsertRowid), Number(size));
    drop.run(Number(lastInsertRowid) - 1000);
    db.exec("COMMIT");
    committed = Number(lastInsertRowid) + 1;
  }
  process.stdout.write(`${committed}\n`);
  setImmediate(turn);
}
turn();
