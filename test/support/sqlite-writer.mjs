// Writes into a database of SQLite without a pause, in one of its journal modes. Prints the last committed row, and for how many ms
// the slowest transaction since the last line had to wait for its lock and its commit. Arguments: file, journal mode, bytes of a row.
// Ends with its standard input.
import { DatabaseSync } from "node:sqlite";

const [file, mode, size] = process.argv.slice(2);
const db = new DatabaseSync(file);
db.exec(`PRAGMA busy_timeout = 120000; PRAGMA journal_mode = ${mode}; PRAGMA synchronous = OFF`);
db.exec("CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY AUTOINCREMENT, twin INTEGER, payload BLOB)");
db.exec("CREATE INDEX IF NOT EXISTS twins ON rows (twin)");
const insert = db.prepare("INSERT INTO rows (twin, payload) VALUES (?, randomblob(?))");
const drop = db.prepare("DELETE FROM rows WHERE id < ?");
process.stdin.on("end", () => process.exit(0)).resume();
function turn() {
  let [committed, slowest] = [0, 0];
  for (let count = 0; count < 20; count++) {
    const began = performance.now();
    db.exec("BEGIN IMMEDIATE");
    const { lastInsertRowid } = insert.run(0, Number(size));
    insert.run(Number(lastInsertRowid), Number(size));
    const oldest = Number(lastInsertRowid) - 1000;
    drop.run(oldest - (oldest % 2) + 1); // both rows of a transaction, or none
    db.exec("COMMIT");
    committed = Number(lastInsertRowid) + 1;
    slowest = Math.max(slowest, Math.round(performance.now() - began));
  }
  process.stdout.write(`${committed} ${slowest}\n`);
  setImmediate(turn);
}
turn();
