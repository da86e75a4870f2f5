import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { checkFamilies, openFamilies, RING, type Rocksdb } from "../rocksdb-library.ts";

/** A few by their names in conduwuit and its kin, and as many as make a start read hundreds of files. */
export const FAMILIES: readonly string[] = [
  ...["default", "global", "server_signingkeys", "id_appserviceregistrations", "pduid_pdu", "eventid_pduid"],
  ...["userid_password", "token_userdeviceid", "mediaid_file", "roomid_shortroomid", "shorteventid_eventid"],
  ...Array.from({ length: 29 }, (_, at) => `map-${at + 1}`),
];
const SCHEMA_VERSION = "18";
/** Media of these many batches each. */
const MEDIA_EVERY = 40;

/** Keys and values by family. */
type Rows = Readonly<Record<string, readonly (readonly [string, string])[]>>;

export interface Identity {
  readonly serverName: string;
  /** What a new database is marked with. */
  readonly generation: string;
}

/**
 * A homeserver's database as the real library writes it. Every batch puts the same number into all families, so that a
 * mixture of two states shows; media lie below the database, each named in it.
 */
export class HomeserverDatabase {
  readonly #db: Rocksdb;
  readonly #directory: string;
  #counter: number;

  private constructor(db: Rocksdb, directory: string, counter: number) {
    this.#db = db;
    this.#directory = directory;
    this.#counter = counter;
  }

  /** As a homeserver does: makes an empty one when there is none. Throws when it is of another server or not one state. */
  static async open(directory: string, identity: Identity): Promise<HomeserverDatabase> {
    const isNew = !existsSync(join(directory, "CURRENT"));
    const db = await openFamilies(directory, FAMILIES, { create: isNew });
    const database = new HomeserverDatabase(db, directory, 0);
    if (isNew) database.#fill(identity);
    else database.#check(identity);
    return database;
  }

  get counter(): number {
    return this.#counter;
  }

  get generation(): string {
    return this.#read("global", "generation") ?? "";
  }

  /** Made when the database was: tells whether it is the same one. */
  get signingKey(): string {
    return this.#read("server_signingkeys", "ed25519") ?? "";
  }

  registration(id: string): string | undefined {
    return this.#read("id_appserviceregistrations", id);
  }

  register(id: string, yaml: string): void {
    this.#write({ id_appserviceregistrations: [[id, yaml]] });
  }

  /** Some batches. */
  write(batches: number): void {
    for (let at = 0; at < batches; at++) this.#write({});
  }

  async close(): Promise<void> {
    await this.#db.close();
  }

  #fill({ serverName, generation }: Identity): void {
    mkdirSync(join(this.#directory, "media"), { mode: 0o700, recursive: true });
    this.#write({
      global: [
        ["version", SCHEMA_VERSION],
        ["server_name", serverName],
        ["generation", generation],
      ],
      server_signingkeys: [["ed25519", randomBytes(32).toString("hex")]],
    });
  }

  #check({ serverName }: Identity): void {
    this.#counter = checkFamilies(this.#db, FAMILIES);
    assert.equal(this.#read("global", "version"), SCHEMA_VERSION, "the database is of another version");
    const name = this.#read("global", "server_name");
    assert.equal(name, serverName, `server user of ${serverName} does not exist: the database is of ${name}`);
    for (let at = MEDIA_EVERY; at <= this.#counter; at += MEDIA_EVERY) {
      const id = `media-${at}`;
      const row = this.#read("mediaid_file", id);
      assert.equal(digest(readFileSync(this.#mediaFile(id))), row, `${id} is not what the database says`);
    }
  }

  #mediaFile(id: string): string {
    return join(this.#directory, "media", createHash("sha256").update(id).digest("base64url"));
  }

  #read(family: string, key: string): string | undefined {
    const how = { column: this.#db.columns[family], valueEncoding: "buffer" } as const;
    return this.#db._getManySync([Buffer.from(key)], how)[0]?.toString();
  }

  #write(rows: Rows): void {
    const counter = this.#counter + 1;
    const media = counter % MEDIA_EVERY === 0 ? randomBytes(20_000 + (counter % 7) * 9000) : undefined;
    const id = `media-${counter}`;
    if (media) this.#writeBatch(counter, { ...rows, mediaid_file: [[id, digest(media)]] });
    else this.#writeBatch(counter, rows);
    // After its row, as homeservers do.
    if (media) writeFileSync(this.#mediaFile(id), media, { mode: 0o640 });
    this.#counter = counter;
  }

  #writeBatch(counter: number, rows: Rows): void {
    const batch = this.#db.batch();
    for (const [at, family] of FAMILIES.entries()) {
      const column = this.#db.columns[family];
      const value = Buffer.from(`${counter} ${"x".repeat(16 + ((at * 97) % 300))}`);
      batch._put(Buffer.from("counter"), Buffer.from(String(counter)), { column });
      batch._put(Buffer.from(`ring/${counter % RING}`), value, { column });
      for (const [key, text] of rows[family] ?? [])
        batch._put(Buffer.from(key), Buffer.from(text), { column });
    }
    batch._writeSync({});
    batch._closeSync();
  }
}

function digest(content: Buffer): string {
  return createHash("sha256").update(content).digest("hex");
}
