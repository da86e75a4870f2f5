import { hash } from "node:crypto";
import type { Host } from "../../host/host.ts";
import type { Cancel } from "../../lib/cancel.ts";
import { type DropsError, refused } from "../../lib/errors.ts";
import type { PostgresPolicy } from "../../policy/schema.ts";
import { PostgresClient } from "../../source/postgres/client.ts";
import { differences, measureNow } from "../../source/postgres/measure.ts";
import {
  closeSql,
  disconnectSql,
  dropRoleSql,
  dropSql,
  openSql,
  reopenSql,
  type SwapPair,
  swapSql,
  unswapSql,
} from "../../source/postgres/restore/acts.ts";
import { type DatabaseRow, ServerAdmin } from "../../source/postgres/restore/admin.ts";
import { dropLoader } from "../../source/postgres/restore/loader.ts";
import { type ReplacementNames, replacementNames } from "../../source/postgres/restore/names.ts";
import { DIGEST_VERSION } from "../../source/postgres/row-digest.ts";
import { PsqlSession } from "../../source/postgres/session.ts";
import { RUNS } from "../journal/runs.ts";
import {
  isSwapped,
  NOTHING_STAGED,
  type Replacement,
  type ReplacementState,
  refusalsOf,
  type Staged,
} from "../run/replacement.ts";
import { type DatabaseSource, readDatabaseFacts } from "./files.ts";
import { type DatabaseLook, lookAt, stateOf } from "./look.ts";
import { loadDirectory, startServer } from "./place.ts";
import { type DatabaseRecord, RecordDirectory } from "./record.ts";
import { stageDatabase } from "./stage.ts";

export interface DatabaseReplacementOptions extends DatabaseSource {
  readonly host: Host;
  /** Id of the run. */
  readonly run: string;
  readonly policy: PostgresPolicy;
  /** Those that the restore stops. */
  readonly units?: readonly string[];
  /** The run's directory on the host; default: its place below `RUNS`. */
  readonly directory?: string;
}

/** A database that a restore replaces by the one of a snapshot; see docs/guided-restore.md, "On the host". Needs a superuser. */
export function openDatabaseReplacement(options: DatabaseReplacementOptions): Replacement {
  return new DatabaseReplacement(options);
}

const MAX_TRIES = 3;

class DatabaseReplacement implements Replacement {
  readonly label: string;
  readonly source: string;
  readonly #options: DatabaseReplacementOptions;
  readonly #names: ReplacementNames;
  readonly #admin: ServerAdmin;
  readonly #directory: RecordDirectory;
  readonly #refusals: ReturnType<typeof refusalsOf>;

  constructor(options: DatabaseReplacementOptions) {
    const { host, run, policy, record } = options;
    this.#options = options;
    this.label = `database ${policy.database}`;
    this.#refusals = refusalsOf(this.label);
    this.source = record.name;
    this.#names = replacementNames(policy.database, run);
    const tag = `drops-${run.slice(-6)}-${hash("sha256", `${run} ${record.name}`, "hex").slice(0, 16)}`;
    this.#admin = new ServerAdmin(host, policy, tag);
    this.#directory = new RecordDirectory(host, {
      above: options.directory ?? `${RUNS}/${run}`,
      name: `database-${record.name}`,
      // of the host's: a container may be made anew between two runs
      runAs: policy.container === undefined ? policy.run_as : host.user.name,
    });
  }

  async state(how: Cancel): Promise<ReplacementState> {
    return this.#stateOf(await this.#look(how));
  }

  async stage(how: Cancel & { readonly onBytes?: (bytes: number) => void }): Promise<Staged> {
    const look = await this.#look(how);
    const state = this.#stateOf(look);
    if (state !== "untouched" && state !== "staging") return this.#stagedOf(look);
    await this.#endEarlier(how);
    await this.#directory.make(how);
    await this.#clear(look, how);
    return await stageDatabase(
      {
        ...this.#options,
        source: this.#options,
        load: this.#load,
        admin: this.#admin,
        directory: this.#directory,
        names: this.#names,
        roles: look.record?.roles ?? [],
      },
      { onBytes: () => {}, ...how },
    );
  }

  async check(how: Cancel): Promise<readonly string[]> {
    const look = await this.#look(how);
    const state = this.#stateOf(look);
    if (state === "untouched" || state === "staging" || look.fresh === undefined) {
      throw this.#refusals.notStaged("compare");
    }
    const facts = await readDatabaseFacts(this.#options, how);
    await this.#openNew(look, how);
    const { host, policy } = this.#options;
    const client = new PostgresClient(host, { ...policy, database: look.fresh.name });
    await using session = await PsqlSession.open(client, how);
    // no older digest: the server would compute it, and run what the dump brought as a superuser
    const digest = facts.digest_version === DIGEST_VERSION ? DIGEST_VERSION : undefined;
    return differences(facts, await measureNow(session, { digest }));
  }

  async swap(how: Cancel): Promise<void> {
    await this.#endEarlier(how);
    for (let tries = 1; !(await this.#trySwap(tries, how)); tries++);
  }

  /** False when a service made or dropped the database in between, so that it is worth another look. */
  async #trySwap(tries: number, how: Cancel): Promise<boolean> {
    const look = await this.#look(how);
    const state = this.#stateOf(look);
    if (isSwapped(state)) {
      await this.#openNew(look, how); // closed by an unswap that was broken off
      return true;
    }
    if (state !== "staged" || look.record === undefined) {
      throw this.#refusals.notStaged("put in place");
    }
    const pair = await this.#noteOld(look.record, look, how);
    await this.#disconnect(pair, how);
    try {
      await this.#act(swapSql(pair), "swapping the databases", how);
      return true;
    } catch (error) {
      how.signal.throwIfAborted();
      if (tries === MAX_TRIES || !(await this.#nameChanged(pair, how))) throw error;
      return false;
    }
  }

  async unswap(how: Cancel): Promise<void> {
    await this.#endEarlier(how);
    const look = await this.#look(how);
    const state = this.#stateOf(look);
    if (state === "finished") throw this.#refusals.noWayBack();
    if (state !== "swapped" || look.record === undefined) return await this.#reopenOld(look, how);
    if (look.record.old && look.old === undefined) {
      throw refused(`the old ${this.label} is gone from the server: it cannot be put back`);
    }
    if (look.record.finishing) await this.#directory.write({ ...look.record, finishing: false }, how);
    const pair = this.#pairOf(look.record);
    await this.#disconnect(pair, how);
    await this.#act(unswapSql(pair, look.fresh !== undefined), "putting the old database back", how);
  }

  async discard(how: Cancel): Promise<void> {
    const look = await this.#look(how);
    if (isSwapped(this.#stateOf(look))) throw this.#refusals.inPlace();
    await this.#endEarlier(how);
    await this.#reopenOld(look, how);
    await this.#clear(look, how);
    for (const { name, oid } of look.record?.roles ?? []) {
      await this.#act(dropRoleSql(oid, name), `removing the role ${name} that the restore made`, how);
    }
    const { policy } = this.#options;
    if (policy.container !== undefined)
      await this.#admin.client.host.run(["rm", "-rf", "--", this.#load], { ...how, as: policy.run_as });
    await this.#directory.remove(how);
  }

  /** A dump is of the whole database. */
  async onlyInOld(): Promise<readonly string[]> {
    return [];
  }

  async finish(how: Cancel): Promise<void> {
    const look = await this.#look(how);
    if (!isSwapped(this.#stateOf(look)) || look.record === undefined) throw this.#refusals.notInPlace();
    if (look.fresh === undefined) {
      throw refused(
        `the restored ${this.label} is gone from the server`,
        "drops rollback puts the old one back",
      );
    }
    await this.#endEarlier(how);
    await this.#openNew(look, how);
    if (!look.record.finishing) await this.#directory.write({ ...look.record, finishing: true }, how);
    if (look.old) await this.#act(dropSql(look.old.oid, look.old.name), "removing the old database", how);
  }

  /** Of the programs' user, for the dump. */
  get #load(): string {
    return loadDirectory(this.#options, this.#directory.path);
  }

  async #look(how: Cancel): Promise<DatabaseLook> {
    const record = await this.#directory.read(how);
    const { host, run, policy } = this.#options;
    await startServer(host, policy, how);
    if (record && (record.run !== run || record.database !== policy.database)) {
      throw refused(
        `${this.#directory.path} is of another restore: of ${record.database}, run ${record.run}`,
      );
    }
    return lookAt(record, await this.#admin.databases(how), this.#names);
  }

  async #endEarlier(how: Cancel): Promise<void> {
    await startServer(this.#options.host, this.#options.policy, how);
    await this.#admin.endEarlierSessions(how);
  }

  #stateOf(look: DatabaseLook): ReplacementState {
    return stateOf(look, { name: this.#options.policy.database, ...this.#names });
  }

  #stagedOf({ record }: DatabaseLook): Staged {
    return record?.staged ?? NOTHING_STAGED;
  }

  /** Remove what was begun, as far as it is known to be ours; the record stays. */
  async #clear({ record, fresh, rows }: DatabaseLook, how: Cancel): Promise<void> {
    if (fresh) await this.#act(dropSql(fresh.oid, fresh.name), "removing what a broken restore left", how);
    const stranger = rows.find(({ name, oid }) => name === this.#names.staged && oid !== fresh?.oid);
    if (stranger) throw notOurs(stranger);
    if (record) await dropLoader(this.#admin, this.#names.loader, how);
  }

  /** A swap or its undoing that was broken off has closed it. */
  async #openNew({ fresh }: DatabaseLook, how: Cancel): Promise<void> {
    if (fresh && !fresh.allow) await this.#act(openSql(fresh.oid), "opening the new database again", how);
  }

  /** After a swap that was broken off before it happened, the old one may be closed. */
  async #reopenOld({ record, old }: DatabaseLook, how: Cancel): Promise<void> {
    if (!record?.old || old === undefined || old.name !== this.#options.policy.database) return;
    if (old.allow === record.old.allow && old.limit === record.old.limit) return;
    await this.#act(reopenSql(record.old), "opening the old database again", how);
  }

  /** What is in place now is what will be kept: noted, with its settings, before anything of it is changed. */
  async #noteOld(record: DatabaseRecord, look: DatabaseLook, how: Cancel): Promise<SwapPair> {
    const current = look.rows.find(({ name }) => name === this.#options.policy.database);
    const stranger = look.rows.find(({ name }) => name === this.#names.kept);
    if (stranger) throw notOurs(stranger);
    if (record.old !== undefined && record.old?.oid === current?.oid) return this.#pairOf(record);
    const old = current ? { oid: current.oid, allow: current.allow, limit: current.limit } : null;
    const noted = { ...record, old };
    await this.#directory.write(noted, how);
    return this.#pairOf(noted);
  }

  #pairOf(record: DatabaseRecord): SwapPair {
    const { staged, kept } = this.#names;
    const { database } = this.#options.policy;
    return { newOid: record.newOid ?? "", old: record.old ?? undefined, name: database, staged, kept };
  }

  /** Nobody is in, and nobody gets in: a renaming waits for nobody. */
  async #disconnect({ newOid, old }: SwapPair, how: Cancel): Promise<void> {
    const oids = [newOid, ...(old === undefined ? [] : [old.oid])];
    await this.#act(closeSql(oids), "closing the databases for the swap", how);
    await this.#act(disconnectSql(oids), "ending the sessions that use the databases", how);
  }

  async #nameChanged({ name, old }: SwapPair, how: Cancel): Promise<boolean> {
    const rows = await this.#admin.databases(how);
    return rows.find((row) => row.name === name)?.oid !== old?.oid;
  }

  async #act(sql: string, what: string, how: Cancel): Promise<void> {
    await this.#admin.act(sql, { signal: how.signal, what });
  }
}

function notOurs({ name, oid }: DatabaseRow): DropsError {
  return refused(
    `there is a database ${name} (object id ${oid}) that this restore did not make`,
    "look what it is; rename or drop it by hand",
  );
}
