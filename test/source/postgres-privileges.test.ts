import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { openLocalHost } from "../../src/host/local.ts";
import { PostgresClient } from "../../src/source/postgres/client.ts";
import { privilegeDifferences } from "../../src/source/postgres/privileges.ts";
import { type Postgres, startPostgres } from "../support/postgres.ts";
import { type Capture, capture } from "../support/postgres-captures.ts";

// A privilege that a restored database lost, or got, is found, whatever it is on.

let pg: Postgres;
let captured: Capture;
before(async () => {
  pg = await startPostgres();
  await pg.psql("postgres", "CREATE ROLE app LOGIN; CREATE ROLE other; CREATE DATABASE held OWNER app");
  await pg.psql(
    "held",
    `SET ROLE app; CREATE SCHEMA s; CREATE TABLE s.t (a int, b int); CREATE SEQUENCE s.n; CREATE FUNCTION s.f() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE TYPE s.mood AS ENUM ('ok');
     GRANT SELECT ON s.t TO other WITH GRANT OPTION; GRANT UPDATE (b) ON s.t TO other; REVOKE EXECUTE ON FUNCTION s.f() FROM PUBLIC; ALTER DEFAULT PRIVILEGES IN SCHEMA s GRANT SELECT ON TABLES TO other`,
  );
  captured = await capture(pg.policyFor("held"));
});
after(() => pg[Symbol.asyncDispose]());

const CHANGES: readonly (readonly [change: string, back: string, says: string])[] = [
  [
    "REVOKE CREATE ON SCHEMA s FROM app",
    "GRANT CREATE ON SCHEMA s TO app",
    "privileges on schema s: lost the owner CREATE",
  ],
  [
    "GRANT USAGE ON SCHEMA s TO PUBLIC",
    "REVOKE USAGE ON SCHEMA s FROM PUBLIC",
    "privileges on schema s: got PUBLIC USAGE",
  ],
  [
    "GRANT CREATE ON SCHEMA public TO other",
    "REVOKE CREATE ON SCHEMA public FROM other",
    "privileges on schema public: got other CREATE",
  ],
  [
    "REVOKE GRANT OPTION FOR SELECT ON s.t FROM other",
    "GRANT SELECT ON s.t TO other WITH GRANT OPTION",
    "privileges on relation s.t: lost other SELECT WITH GRANT OPTION, got other SELECT",
  ],
  [
    "REVOKE UPDATE (b) ON s.t FROM other",
    "GRANT UPDATE (b) ON s.t TO other",
    "privileges on column s.t.b: lost other UPDATE",
  ],
  [
    "GRANT UPDATE (a) ON s.t TO other",
    "REVOKE UPDATE (a) ON s.t FROM other",
    "privileges on column s.t.a: got other UPDATE",
  ],
  [
    "GRANT USAGE ON SEQUENCE s.n TO other",
    "REVOKE USAGE ON SEQUENCE s.n FROM other",
    "privileges on relation s.n: got other USAGE",
  ],
  [
    "GRANT EXECUTE ON FUNCTION s.f() TO PUBLIC",
    "REVOKE EXECUTE ON FUNCTION s.f() FROM PUBLIC",
    "privileges on function s.f(): got PUBLIC EXECUTE",
  ],
  [
    "REVOKE USAGE ON TYPE s.mood FROM PUBLIC",
    "GRANT USAGE ON TYPE s.mood TO PUBLIC",
    "privileges on type s.mood: lost PUBLIC USAGE",
  ],
  [
    "REVOKE TEMPORARY ON DATABASE held FROM PUBLIC",
    "GRANT TEMPORARY ON DATABASE held TO PUBLIC",
    "privileges on database: lost PUBLIC TEMPORARY",
  ],
  [
    "ALTER DEFAULT PRIVILEGES IN SCHEMA s REVOKE SELECT ON TABLES FROM other",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA s GRANT SELECT ON TABLES TO other",
    "privileges on default privileges of app for r in s: lost other SELECT",
  ],
];

describe("a privilege that was lost or added is found", () => {
  for (const [change, back, says] of CHANGES) {
    test(change, async () => {
      assert.deepEqual(await found(), []);
      await pg.psql("held", /public/.test(change) ? change : `SET ROLE app; ${change}`);
      assert.deepEqual(await found(), [says]);
      await pg.psql("held", /public/.test(back) ? back : `SET ROLE app; ${back}`);
    });
  }
});

async function found(): Promise<readonly string[]> {
  await using host = await openLocalHost();
  const client = new PostgresClient(host, pg.policyFor("held"));
  return privilegeDifferences(client, captured.facts.privileges ?? [], {
    signal: AbortSignal.timeout(60_000),
  });
}
