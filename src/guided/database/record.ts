import * as z from "zod";
import type { Host } from "../../host/host.ts";
import type { Cancel } from "../../lib/cancel.ts";
import { DropsError } from "../../lib/errors.ts";

const Oid = z.string().regex(/^\d{1,10}$/);
const Named = z.object({ name: z.string(), oid: Oid });

/** What a run has noted of one database before doing it. Which of it has happened is told by the server. */
const DatabaseRecord = z.object({
  drops: z.literal("database-replacement"),
  version: z.literal(1),
  run: z.string(),
  source: z.string(),
  database: z.string(),
  /**
   * The connection limit that the new database is created with: no other database of that name has it, so that it is known for
   * ours although its id could not be noted before it was made.
   */
  token: z.int(),
  newOid: Oid.optional(),
  /** Roles that this run made. */
  roles: z.array(Named),
  /** There once the new database is whole. */
  staged: z.object({ files: z.int(), bytes: z.int(), notes: z.array(z.string()) }).optional(),
  /** What was in place: null when nothing was; undefined before the first swap. */
  old: z.object({ oid: Oid, allow: z.boolean(), limit: z.int() }).nullish(),
  /** The old one is to be removed. */
  finishing: z.boolean().optional(),
});
export type DatabaseRecord = z.infer<typeof DatabaseRecord>;

const NAME = "database.json";

/** A directory on the host, of the user that PostgreSQL's programs run as, with the record of one database in it. */
export class RecordDirectory {
  readonly path: string;
  readonly #host: Host;
  readonly #runAs: string;
  /** The run's directory. */
  readonly #above: string;

  constructor(host: Host, where: { readonly above: string; readonly name: string; readonly runAs: string }) {
    this.#host = host;
    this.#above = where.above;
    this.#runAs = where.runAs;
    this.path = `${where.above}/${where.name}`;
  }

  /** What was noted; undefined when nothing was. Throws data/damaged when it cannot be read. */
  async read(how: Cancel): Promise<DatabaseRecord | undefined> {
    // root may enter every directory above; who may not would take what it cannot see for missing
    const as = this.#host.user.uid === 0 ? {} : { as: this.#runAs };
    const read = await this.#host.run(["sh", "-c", READ, "sh", `${this.path}/${NAME}`], {
      ...how,
      ...as,
      okExits: [0, 3],
      maxStdout: 1024 * 1024,
    });
    if (read.exit === 3) return undefined;
    try {
      return DatabaseRecord.parse(JSON.parse(read.stdout.toString("utf8")));
    } catch (cause) {
      throw new DropsError("data/damaged", `${this.path}/${NAME} on ${this.#host.label} cannot be read`, {
        hint: "this file lists the databases of the restore; look at them by hand: psql -l",
        cause,
      });
    }
  }

  /** Make the directory, so that the programs' user can reach it and nobody else can look into it. */
  async make(how: Cancel): Promise<void> {
    await this.#host.run(["sh", "-c", MAKE, "sh", this.path, this.#above, this.#runAs], how);
  }

  /** The dump goes to another user of the host; false when it cannot. What is above stays the programs' user's. */
  async giveDump(user: string, how: Cancel): Promise<boolean> {
    const argv = ["sh", "-c", GIVE, "sh", this.path, user];
    return (await this.#host.run(argv, { ...how, okExits: [0, 1] })).exit === 0;
  }

  /** Resolves when it is on disk. */
  async write(record: DatabaseRecord, how: Cancel): Promise<void> {
    await this.#host.run(["sh", "-c", WRITE, "sh", this.path, NAME], {
      ...how,
      as: this.#runAs,
      stdin: `${JSON.stringify(record)}\n`,
    });
  }

  /** The record goes first, then what is left. The same again does nothing. */
  async remove(how: Cancel): Promise<void> {
    await this.#host.run(["sh", "-c", REMOVE, "sh", this.path, NAME], { ...how, as: this.#runAs });
    await this.#host.run(["sh", "-c", REMOVE_DIRECTORY, "sh", this.path, this.#above], how);
  }
}

/** Root reads in a directory of another user. */
const READ = '[ -e "$1" ] || exit 3; exec dd if="$1" iflag=nofollow,nonblock bs=1M status=none';

/** What is in the directory is its user's to swap: so it is entered first, and then worked in where one is. */
const GIVE = `
chmod o+x -- "$1" && cd -P -- "$1" || exit 1
here=$(pwd -P) && cd -P -- load && [ "$(pwd -P)" = "$here/load" ] || exit 1
chmod 755 . && chown -h -- "$2" database.dump
`;

/** Above it, only what is drops' own is opened for passing through. */
const MAKE = `
set -e
umask 077
mkdir -p -- "$1"
chmod 700 -- "$1"
chown -h -- "$3:" "$1"
chmod o+x -- "$2"
above=$2
while above=\${above%/*}; case "$above" in /var/lib/drops|/var/lib/drops/*) true ;; *) false ;; esac; do
  chmod o+x -- "$above"
done
sync -- "$1" "$2"
`;

const WRITE = `
set -e
umask 077
chmod 700 -- "$1"
cat >"$1/$2.new"
sync -- "$1/$2.new"
mv -f -- "$1/$2.new" "$1/$2"
sync -- "$1"
`;

const REMOVE = `
set -e
[ -d "$1" ] || exit 0
rm -f -- "$1/$2"
sync -- "$1"
rm -rf -- "$1/load" "$1/$2.new"
`;

const REMOVE_DIRECTORY = `
set -e
[ -d "$1" ] || exit 0
rmdir -- "$1"
sync -- "$2"
`;
