import { readFile, stat } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import type { Cancel } from "../lib/cancel.ts";
import { isFailure } from "../lib/errors.ts";
import { someOf } from "../lib/words.ts";
import { type PostgresFacts, parsePostgresFacts } from "../source/postgres/facts.ts";
import { differences, measureNow } from "../source/postgres/measure.ts";
import { obstacleNotes } from "../source/postgres/obstacles.ts";
import { privilegeDifferences } from "../source/postgres/privileges.ts";
import type { ServerAdmin } from "../source/postgres/restore/admin.ts";
import { parseRolesFile, type RolesFile } from "../source/postgres/restore/roles-file.ts";
import { digestOf } from "../source/postgres/row-digest.ts";
import { PsqlSession } from "../source/postgres/session.ts";
import { type CheckFinding, couldNotRun, failed } from "./checks.ts";
import type { DrillContext, DrilledSource } from "./drill-context.ts";
import {
  loadScratch,
  makeDatabase,
  makeRoles,
  missingExtensions,
  rolesMissingIn,
  scratchAdmin,
  scratchName,
} from "./load-dump.ts";
import { findPrograms, type PostgresPrograms, packageOf } from "./postgres-programs.ts";
import { ScratchPostgres } from "./scratch-postgres.ts";

/** More roles than any cluster of one service has. */
const LARGEST_ROLES = 16 * 1024 * 1024;
const SHOWN_DIFFERENCES = 20;
const MOST_JOBS = 8;
const MEND =
  'mend it in the database that is backed up, then drops backup: docs/postgres.md, "What a restore leaves out", says how';

/** A dump that lies in a scratch server, for the policy's own checks. Closing it stops the server. */
export interface LoadedDatabase extends AsyncDisposable {
  readonly server: ScratchPostgres;
  readonly facts: PostgresFacts;
  /** Seconds that starting the server was no part of. */
  readonly loadSeconds: number;
}

/**
 * Prove a PostgreSQL source: every step on the way to a database whose counts and digests are those of the capture is a
 * check. What comes after one that did not pass is not tested, and the book says so.
 */
export async function checkPostgres(
  context: DrillContext,
  source: DrilledSource,
  how: Cancel,
): Promise<LoadedDatabase | undefined> {
  const facts = parsePostgresFacts(source.head.facts);
  const programs = await lookForPrograms(context, source, facts, how);
  if (!programs) return undefined;
  const server = await startServer(context, source, programs, how);
  if (!server) return undefined;
  try {
    const loadSeconds = await rebuild(context, source, { server, facts }, how);
    if (loadSeconds === undefined) {
      await server[Symbol.asyncDispose]();
      return undefined;
    }
    return { server, facts, loadSeconds, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
}

async function lookForPrograms(
  { host, book, programDirectories }: DrillContext,
  { name }: DrilledSource,
  facts: PostgresFacts,
  how: Cancel,
): Promise<PostgresPrograms | undefined> {
  let programs: PostgresPrograms | undefined;
  const wanted = Math.floor(Number(facts.server.version_num) / 10_000);
  const title = { id: `${name}/server`, source: name, name: "a PostgreSQL server that is new enough" };
  const work = async (): Promise<CheckFinding | string> => {
    const { fit, found } = await findPrograms(host, programDirectories, wanted, how);
    const hint = `apt-get install postgresql-${wanted} (PostgreSQL ${wanted} or later), or --postgres-bin DIRECTORY`;
    if (!fit && found[0]) {
      return couldNotRun(
        `PostgreSQL ${found[0].version} is here, the dump is of ${facts.server.version}`,
        hint,
      );
    }
    if (!fit) return couldNotRun("there is no PostgreSQL server with its programs on this machine", hint);
    programs = fit;
    return `PostgreSQL ${fit.version}, for a dump of ${facts.server.version}`;
  };
  await book.run(title, work, how);
  return programs;
}

async function startServer(
  { book, scratch, sandbox }: DrillContext,
  { name }: DrilledSource,
  programs: PostgresPrograms,
  how: Cancel,
): Promise<ScratchPostgres | undefined> {
  let server: ScratchPostgres | undefined;
  const title = { id: `${name}/start`, source: name, name: "a scratch server starts" };
  const work = async () => {
    const place = {
      directory: await scratch.makeFor(`${name}.cluster`),
      sockets: await scratch.makeForSockets(),
    };
    server = await ScratchPostgres.start(programs, sandbox, place, how);
    return `as ${sandbox.user.name}, on a socket of its own, without TCP`;
  };
  await book.run(title, work, how);
  return server;
}

/** What loads nothing more. */
const COMPARES = new Set(["rows", "privileges"]);

/** Answers the seconds that it took; undefined when something on the way failed. */
async function rebuild(
  context: DrillContext,
  source: DrilledSource,
  made: { readonly server: ScratchPostgres; readonly facts: PostgresFacts },
  how: Cancel,
): Promise<number | undefined> {
  const { book } = context;
  const { server, facts } = made;
  const { name, directory } = source;
  const admin = scratchAdmin(server, facts);
  book.note(...obstacleNotes(facts.obstacles ?? []).map((note) => `${name}: ${note}`));
  let isLoaded = false;
  const loaded = () => {
    isLoaded = true;
  };
  const steps: readonly (readonly [id: string, title: string, work: () => Promise<CheckFinding | string>])[] =
    [
      ["roles", "its roles can be made", () => checkRoles(admin, facts, directory, how)],
      ["extensions", "its extensions are here", () => checkExtensions(server, facts, how)],
      [
        "database",
        "the database can be made, with its encoding and locale",
        () => checkDatabase(admin, facts, how),
      ],
      [
        "load",
        "the dump loads as a role that is no superuser",
        () => checkLoad(context, source, { admin, facts, loaded }, how),
      ],
      ["rows", "every count and digest is that of the capture", () => checkRows(server, facts, how)],
      ["privileges", "who may do what is as captured", () => checkPrivileges(server, facts, how)],
    ];
  let seconds = 0;
  for (const [at, [id, title, work]] of steps.entries()) {
    const check = await book.run({ id: `${name}/${id}`, source: name, name: title }, work, how);
    if (!COMPARES.has(id)) seconds += check.seconds;
    // rows that are there are compared, whatever else is not
    if (check.outcome === "passed" || (id === "load" && isLoaded)) continue;
    for (const [, later] of steps.slice(at + 1)) book.skip(`${name}: ${later}`, `because not: ${title}`);
    // the policy's own checks may still tell something about rows that are other ones
    return COMPARES.has(id) ? seconds : undefined;
  }
  return seconds;
}

async function checkRoles(
  admin: ServerAdmin,
  facts: PostgresFacts,
  directory: string,
  how: Cancel,
): Promise<CheckFinding | string> {
  const file = await readRoles(directory);
  if (file === undefined) return failed("roles.sql is larger than any such file");
  const missing = rolesMissingIn(file, facts);
  if (missing.length > 0) return failed(`roles.sql does not make ${missing.slice(0, 10).join(", ")}`);
  return `${await makeRoles(admin, file, facts, how)}, none of them a superuser`;
}

async function readRoles(directory: string): Promise<RolesFile | undefined> {
  const path = join(directory, "roles.sql");
  return (await stat(path)).size > LARGEST_ROLES ? undefined : parseRolesFile(await readFile(path, "utf8"));
}

async function checkExtensions(
  server: ScratchPostgres,
  facts: PostgresFacts,
  how: Cancel,
): Promise<CheckFinding | string> {
  const missing = await missingExtensions(server, facts, how);
  if (missing.length === 0) return facts.extensions.map(({ name }) => name).join(", ") || "it has none";
  const packages = [...new Set(missing.map((name) => packageOf(name, server.programs.major)))];
  return couldNotRun(`not here: ${missing.join(", ")}`, `apt-get install ${packages.join(" ")}`);
}

async function checkDatabase(admin: ServerAdmin, facts: PostgresFacts, how: Cancel): Promise<string> {
  await makeDatabase(admin, facts, how);
  return `${facts.encoding}, ${facts.provider} ${facts.locale ?? facts.collate}, owner ${facts.owner}`;
}

async function checkLoad(
  { book, scratch }: DrillContext,
  { name, directory: restored }: DrilledSource,
  made: { readonly admin: ServerAdmin; readonly facts: PostgresFacts; readonly loaded: () => void },
  how: Cancel,
): Promise<CheckFinding | string> {
  const { admin, facts, loaded } = made;
  const roles = await readRoles(restored);
  if (roles === undefined) return failed("roles.sql is larger than any such file");
  const directory = await scratch.lend(`${name}.load`, join(restored, "database.dump"));
  try {
    const jobs = Math.min(availableParallelism(), MOST_JOBS);
    const { notes, broken } = await loadScratch(admin, facts, { directory, roles, jobs }, how);
    loaded();
    book.note(...notes.map((note) => `${name}: ${note}`));
    if (broken.length > 0) return failed(broken.join("; "), MEND);
    return `as ${facts.owner}`;
  } catch (error) {
    // not for want of something on this machine: the restore would end the same way
    if (!isFailure(error, "format/unsupported")) throw error;
    return failed(error.message, MEND);
  }
}

async function checkPrivileges(
  server: ScratchPostgres,
  facts: PostgresFacts,
  how: Cancel,
): Promise<CheckFinding | string> {
  if (facts.privileges === undefined) return "not recorded: this snapshot is older than that";
  const found = await privilegeDifferences(server.client(scratchName(facts)), facts.privileges, how);
  if (found.length > 0) return failed(found.slice(0, SHOWN_DIFFERENCES).join("; "), MEND);
  return `${facts.privileges.length} things with privileges of their own`;
}

async function checkRows(
  server: ScratchPostgres,
  facts: PostgresFacts,
  how: Cancel,
): Promise<CheckFinding | string> {
  const digest = digestOf(facts);
  await using session = await PsqlSession.open(server.client(scratchName(facts)), how);
  const restored = await measureNow(session, { digest });
  const found = differences(facts, restored);
  if (found.length > 0) {
    return failed(
      someOf(found, { most: SHOWN_DIFFERENCES, between: "; " }),
      "compare with another date: drops drill --date …",
    );
  }
  const rows = restored.tables.reduce((sum, table) => sum + BigInt(table.rows), 0n);
  const compared = digest === undefined ? "counts alone" : "counts and digests";
  return `${compared} of ${restored.tables.length} tables, ${rows} rows, ${restored.sequences.length} sequences`;
}
