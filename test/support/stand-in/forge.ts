/**
 * Stands in for Forgejo on PostgreSQL: makes its tables when they are missing, and answers on loopback while its database does. GENERATION
 * marks a new one.
 */
import { execFileSync, spawn } from "node:child_process";
import { createServer } from "node:http";
import { note } from "./notes.ts";

const UNIT = "forgejo";
const { GENERATION = "" } = process.env;
const SCHEMA = `CREATE TABLE version (id bigint PRIMARY KEY, version bigint);
CREATE TABLE repository (id bigserial PRIMARY KEY, owner_name text NOT NULL, name text NOT NULL);
CREATE UNIQUE INDEX uqe_repository ON repository (owner_name, name);
CREATE TABLE issue (id bigserial PRIMARY KEY, repo_id bigint REFERENCES repository, content text);
INSERT INTO version VALUES (1, 305);
INSERT INTO repository (owner_name, name) VALUES ('alice', '${GENERATION}');`;

if (sql("SELECT to_regclass('repository') IS NULL") === "t") sql(SCHEMA);
note(UNIT, "opened", { generations: [sql("SELECT name FROM repository WHERE id = 1")] });

const session = spawn("psql", ["-X", "-q", "forgejo"], { stdio: ["pipe", "ignore", "inherit"] });
session.on("close", () => {
  note(UNIT, "lost its database");
  process.exit(1);
});
session.stdin.write("SELECT 1;\n");
createServer((request, response) => {
  response.statusCode = request.url === "/api/healthz" ? 200 : 404;
  response.end(JSON.stringify({ status: "pass" }));
}).listen(3000, "127.0.0.1");
process.on("SIGTERM", () => {
  session.removeAllListeners("close").on("close", () => process.exit(0));
  session.stdin.end();
});

function sql(statements: string): string {
  const flags = ["-X", "-qAt", "-v", "ON_ERROR_STOP=1", "--single-transaction", "forgejo"];
  return execFileSync("psql", flags, { input: statements, encoding: "utf8" }).trim();
}
