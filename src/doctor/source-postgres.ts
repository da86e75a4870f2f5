import type { Cancel } from "../lib/cancel.ts";
import { inBytes } from "../lib/units.ts";
import type { PostgresPolicy } from "../policy/schema.ts";
import { freezePostgres, isSpooled } from "../source/postgres/capture.ts";
import { PostgresClient } from "../source/postgres/client.ts";
import { type PostgresFacts, parsePostgresFacts } from "../source/postgres/facts.ts";
import { obstacleNotes } from "../source/postgres/obstacles.ts";
import { Spool } from "../source/postgres/spool.ts";
import { isGuarded } from "../source/postgres/versions.ts";
import { type Line, type LookedAt, ok, warn } from "./types.ts";
import type { World } from "./world.ts";

const KEYS_WITHIN_MS = 20_000;

/**
 * A database is frozen as a backup freezes it: a snapshot is exported, every table locked against being dropped (readers and
 * writers go on), the roles dumped; then it is let go. Nothing is counted, and rows are read only to see whether they break
 * foreign keys, for a short while.
 */
export async function checkPostgres(world: World, source: PostgresPolicy, how: Cancel): Promise<LookedAt> {
  const host = await world.host;
  const { now, random } = world;
  const { name: policyName, sources } = world.loaded.policy;
  const context = { ...how, host, policyName, sources, rereadShare: 0, now, random, say: () => {} };
  await using frozen = await freezePostgres(source, context);
  // counted when it is shipped, which this is not
  const facts = parsePostgresFacts({
    tables: [],
    uncounted: [],
    sequences: [],
    large_objects: "0",
    ...frozen.facts,
  });
  const broken = await frozen.brokenKeys({ ...how, withinMs: KEYS_WITHIN_MS });
  const room = isSpooled(source) ? await noRoomFor(new PostgresClient(host, source), facts, how) : undefined;
  const whole = { ...facts, obstacles: [...(facts.obstacles ?? []), ...broken] };
  return { lines: judgeDatabase(source, whole, room), bytes: Number(facts.size_bytes) };
}

/** Pure. `noRoom`: why its dump cannot be written on the host first. */
export function judgeDatabase(
  source: PostgresPolicy,
  facts: Pick<PostgresFacts, "server" | "pg_dump" | "role_passwords" | "size_bytes" | "obstacles">,
  noRoom: string | undefined,
): Line[] {
  const lines: Line[] = [];
  if (!facts.role_passwords) {
    const what = `${source.name}: ${source.run_as} may not read the roles' passwords, so a restore cannot give them back`;
    lines.push(
      warn(what, "set run_as (and user) in the policy to a superuser, or note the passwords elsewhere"),
    );
  }
  if (noRoom !== undefined) {
    const what = `${source.name}: its dump does not fit on the host and is streamed, its snapshot held for the upload: ${noRoom}`;
    lines.push(warn(what, "make room where TMPDIR of run_as points (/var/tmp), or set spool: false"));
  }
  for (const note of obstacleNotes(facts.obstacles ?? [])) {
    lines.push(
      warn(`${source.name}: ${note}`, 'docs/postgres.md, "What a restore leaves out", says what to do'),
    );
  }
  const { version } = facts.server;
  for (const [program, its] of [
    ["the server", version],
    ["pg_dump", facts.pg_dump],
  ] as const) {
    if (isGuarded(its)) continue;
    const what = `${source.name}: ${program} is version ${its}: the owner of the database can make a dump run code as a superuser (CVE-2024-7348)`;
    lines.push(warn(what, "upgrade PostgreSQL and its client programs to the newest minor version"));
  }
  const size = inBytes(Number(facts.size_bytes));
  const done = `${source.name}: PostgreSQL ${version}, pg_dump ${facts.pg_dump}, ${size}; its tables can be locked for a dump`;
  return [...lines, ok(done)];
}

async function noRoomFor(
  client: PostgresClient,
  facts: PostgresFacts,
  how: Cancel,
): Promise<string | undefined> {
  const opened = await Spool.open(client, { ...how, estimate: BigInt(facts.size_bytes), pgDump: [] });
  if (!(opened instanceof Spool)) return opened.noRoom.slice(0, 200);
  await opened[Symbol.asyncDispose]();
  return undefined;
}
