import assert from "node:assert/strict";
import { type Note, type OpsMachine, UNITS } from "./ops-machine.ts";
import { until } from "./until.ts";

/** What a machine holds, taken from it without drops. */
export interface OpsFacts {
  /** Every file of what stands still: type, mode, owner by name, size, time in nanoseconds, link, digest. */
  readonly still: string;
  /** The same lines for the media, which are only ever added to. */
  readonly media: readonly string[];
  readonly homeserver: Pick<Note, "generation" | "counter" | "signingKey">;
  /** Digest of the rows, by table; of those that the bridge does not write. */
  readonly tables: string;
  /** A line for each message, oldest first; they are only ever added to. */
  readonly messages: readonly string[];
  /** Owners and rights, in both databases. */
  readonly rights: string;
  /** Digest of the forge's rows, by table. */
  readonly forge: string;
}

const STILL = ["matrix-appservices", "mautrix-slack", "forgejo", "acme"].map((name) => `/var/lib/${name}`);

export async function factsOf(machine: OpsMachine): Promise<OpsFacts> {
  const { vps, psql } = machine;
  return {
    still: await vps.exec(lines(STILL)),
    media: (await vps.exec(lines(["/var/lib/matrix-continuwuity/db/media"]))).split("\n"),
    homeserver: await machine.homeserver(),
    tables: await psql(TABLES),
    messages: (await psql("SELECT rowid || ' ' || md5(m::text) FROM message m ORDER BY rowid")).split("\n"),
    rights: `${await psql(RIGHTS)}\n${await psql(RIGHTS, "forgejo")}`,
    forge: await psql(digests(FORGE), "forgejo"),
  };
}

/** Of all files below, the names in any form; the digest of a file follows in the order of names. */
function lines(paths: readonly string[]): string {
  const below = `find ${paths.map((path) => `${path}/`).join(" ")}`;
  return `LC_ALL=C; export LC_ALL
${below} ! -type d -printf '%p %y %m %u %g %s %T@ %l %n\\0' | sort -z | tr '\\n\\0' '?\\n'
${below} -type d -printf '%p %y %m %u %g\\0' | sort -z | tr '\\0' '\\n'
${below} -type f -print0 | sort -z | xargs -0 sha256sum`;
}

/** What the bridge does not touch: `portal` but for one topic, `kv_store` but for one counter, and no messages. */
const TABLES = `
SELECT 'portal', count(*), md5(string_agg(p::text, ' ' ORDER BY p::text)) FROM portal p WHERE id <> 'T0EXAMPLE-C2'
UNION ALL SELECT 'kv_store', count(*), md5(string_agg(k::text, ' ' ORDER BY k::text)) FROM kv_store k WHERE key <> 'last_startup'
UNION ALL ${digests(["version", "database_owner", '"user"', "user_login", "ghost", "reaction", "user_portal", "emoji"])}
ORDER BY 1`;

const FORGE = ["version", "repository", "issue", "audit", "attachment"];

function digests(tables: readonly string[]): string {
  return tables
    .map(
      (table) =>
        `SELECT '${table}', count(*), md5(string_agg(t::text, ' ' ORDER BY t::text)) FROM ${table} t`,
    )
    .join("\nUNION ALL ");
}

const RIGHTS = `
SELECT pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate, datacl FROM pg_database WHERE datname = current_database();
SELECT setconfig FROM pg_db_role_setting WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database());
SELECT nspname, pg_get_userbyid(nspowner), nspacl FROM pg_namespace WHERE nspname !~ '^pg_' ORDER BY 1;
SELECT relname, relkind, pg_get_userbyid(relowner), relacl FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1, 2`;

/** That `machine` has what `before` and `after` have, taken from the old machine before and after its backup. */
export async function assertRestored(machine: OpsMachine, before: OpsFacts, after: OpsFacts): Promise<void> {
  assert.deepEqual(await inactive(machine), [], "all units run");
  const now = await factsOf(machine);
  assert.equal(now.still, after.still);
  assert.equal(now.tables, after.tables);
  assert.equal(now.rights, after.rights);
  assert.equal(now.forge, after.forge);
  assertPrefix(now.messages, before.messages, after.messages, "messages");
  const known = new Set(after.media);
  assert.deepEqual(
    now.media.filter((line) => !known.has(line)),
    [],
    "no media but those of the old machine, with their modes, owners and times",
  );
  assert.ok(now.media.length >= before.media.length, "media of before the backup are missing");
  assertHomeserver(now.homeserver, before.homeserver, after.homeserver);
}

/** Units that do not run. */
export async function inactive({ vps }: OpsMachine): Promise<readonly string[]> {
  const states = (await vps.exec(`systemctl is-active ${UNITS.join(" ")} || true`)).split("\n");
  return UNITS.filter((_, at) => states[at] !== "active");
}

/** Services that were started at boot may try more than once. */
export async function untilActive(machine: OpsMachine): Promise<void> {
  await until("all units are active, and the homeserver has opened its database", async () => {
    const hasOpened = (await machine.homeserver().catch(() => undefined)) !== undefined;
    return hasOpened && (await inactive(machine)).length === 0;
  });
}

/** What restores leave on a disk while they are not over: directories, drop-ins, databases, the gate. */
export async function leftOvers({ vps, psql }: OpsMachine): Promise<readonly string[]> {
  const places = "find / -xdev \\( -path /proc -o -path /sys -o -path /opt \\) -prune -o";
  const names = ["'.drops-*'", "'*-drops-*.conf'", "restore-in-progress"].map((name) => `-name ${name}`);
  const files = await vps.exec(`${places} \\( ${names.join(" -o ")} \\) -print`);
  const databases = await psql("SELECT datname FROM pg_database WHERE datname ~ '^(mautrix_slack|forgejo)_'");
  return `${files}\n${databases}`.split("\n").filter((line) => line !== "");
}

/** The same message texts as the old machine's, to a point between the two. */
function assertPrefix(
  now: readonly string[],
  before: readonly string[],
  after: readonly string[],
  what: string,
): void {
  assert.ok(
    now.length >= before.length,
    `${now.length} ${what}, ${before.length} were there before the backup`,
  );
  assert.ok(
    now.length <= after.length,
    `${now.length} ${what}, only ${after.length} were there after the backup`,
  );
  assert.deepEqual(now, after.slice(0, now.length));
}

function assertHomeserver(
  now: OpsFacts["homeserver"],
  before: OpsFacts["homeserver"],
  after: OpsFacts["homeserver"],
): void {
  assert.equal(now.generation, "precious");
  assert.equal(now.signingKey, after.signingKey);
  const [low, found, high] = [before.counter ?? 0, now.counter ?? 0, after.counter ?? 0];
  assert.ok(low <= found && found <= high, `batch ${found}, the backup was made between ${low} and ${high}`);
}

/**
 * What every unit noted, read as a whole: none started while the gate was closed, none saw parts of two states or data of
 * another server, no directory or database went away under one that ran. Throws AssertionError.
 */
export function assertNobodySawHalf(notes: readonly Note[]): void {
  assert.ok(
    notes.some(({ event }) => event === "starting"),
    "something started",
  );
  assert.deepEqual(notes.filter(isWrong), []);
}

function isWrong({ event, gate, status, unit, generations = [] }: Note): boolean {
  if (event === "starting") return gate;
  if (event === "opened") return new Set(generations).size > 1;
  // A bridge that starts before its homeserver listens tries again.
  if (event === "refused") return unit !== "mautrix-slack" || status !== undefined;
  return event === "moved" || event === "lost its database";
}

/** What lies on the disk for each unit, as its last run on `generation` that is over left it; undefined when it was cut off. */
export function leftBy(generation: string, notes: readonly Note[]): ReadonlyMap<string, string | undefined> {
  const left = new Map<string, string | undefined>();
  for (const { unit, runs, end, isOver } of runsOf(notes))
    if (runs === generation && isOver) left.set(unit, end);
  return left;
}

/** The same, as its last run on `generation` found it. */
export function foundBy(generation: string, notes: readonly Note[]): ReadonlyMap<string, string | undefined> {
  const found = new Map<string, string | undefined>();
  for (const { unit, runs, begin } of runsOf(notes)) if (runs === generation) found.set(unit, begin);
  return found;
}

interface UnitRun {
  readonly unit: string;
  /** Generation of what it ran on; undefined when it never came so far. */
  readonly runs: string | undefined;
  readonly begin: string | undefined;
  readonly end: string | undefined;
  readonly isOver: boolean;
}

/** From each start of a unit to its stop. */
function* runsOf(notes: readonly Note[]): Generator<UnitRun> {
  for (const [at, { unit, event, disk, generation }] of notes.entries()) {
    if (event !== "starting") continue;
    const later = notes.slice(at + 1).filter((note) => note.unit === unit);
    const next = later.findIndex((note) => note.event === "starting");
    const own = next < 0 ? later : later.slice(0, next);
    const opened = own.find((note) => note.event === "opened");
    const end = own.find((note) => note.event === "stopped")?.disk;
    const runs = generation ?? opened?.generation ?? opened?.generations?.[0];
    yield { unit, runs, begin: disk, end, isOver: end !== undefined || next >= 0 };
  }
}
