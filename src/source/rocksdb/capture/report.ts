import { DropsError, type FailureCode } from "../../../lib/errors.ts";
import { type FieldReader, garbled } from "../../script-channel.ts";
import { fileNumber } from "../formats/file-names.ts";

/** A file in the staging directory: name, size, identity and what a restore gives back. */
export interface StagedFile {
  readonly name: string;
  readonly size: number;
  readonly device: string;
  readonly inode: string;
  readonly mtime: bigint;
  readonly owner: Ownership;
}

export interface Ownership {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly user: string | undefined;
  readonly group: string | undefined;
}

export interface Hello {
  /** The database directory, symlinks followed. */
  readonly database: string;
  /** The staging directory, by a name that no rename can redirect. */
  readonly stage: string;
}

/** What one attempt on the host left in staging. */
export interface FrozenReport {
  readonly manifest: string;
  readonly directory: Ownership;
  /** Numbers of the logs that were there at the first listing. */
  readonly firstLogs: readonly number[];
  /** Bytes by which the MANIFEST had grown at the end. */
  readonly tailSize: number;
  readonly files: ReadonlyMap<string, StagedFile>;
}

export interface AgainReport {
  readonly again: string;
  readonly why: string;
}

const MAX_FILES = 2_000_000;
const STAGED_NAME = /^(?:\d{1,20}\.(?:sst|blob|log)|MANIFEST-\d{1,20}|OPTIONS-\d{1,20}|IDENTITY)$/;

/** The script's first words. Throws what the script found wrong with the host or the policy. */
export async function readHello(fields: FieldReader): Promise<Hello> {
  const word = await fields.expect();
  if (word === "problem") throw await readProblem(fields);
  if (word !== "drops-rocksdb-1") throw garbled("it does not begin as it should");
  const database = await fields.expect();
  await fields.expect(); // the staging directory's name, for people who read along
  const pid = await fields.number();
  return { database, stage: `/proc/${pid}/cwd` };
}

/** The answer to `go`. Throws what no further attempt can mend. */
export async function readAttempt(fields: FieldReader): Promise<FrozenReport | AgainReport> {
  const word = await fields.expect();
  if (word === "problem") throw await readProblem(fields);
  if (word === "again") return { again: await fields.expect(), why: printable(await fields.expect()) };
  if (word !== "frozen") throw garbled("its answer is unknown");
  return readFrozen(fields);
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

async function readFrozen(fields: FieldReader): Promise<FrozenReport> {
  const manifest = await fields.expect();
  if (!/^MANIFEST-\d{1,20}$/.test(manifest)) throw garbled("a MANIFEST has no such name");
  const firstLogs: number[] = [];
  const files = new Map<string, StagedFile>();
  const single: Mutable<Partial<Pick<FrozenReport, "directory" | "tailSize">>> = {};
  const words: Readonly<Record<string, () => Promise<unknown>>> = {
    directory: async () => (single.directory = await readOwnership(fields)),
    first: async () => firstLogs.push(fileNumber(await fields.expect())),
    tail: async () => (single.tailSize = await fields.number()),
    file: async () => {
      const file = await readFile(fields);
      files.set(file.name, file);
    },
  };
  for (let word = await fields.expect(); word !== "end"; word = await fields.expect()) {
    const read = Object.hasOwn(words, word) ? words[word] : undefined;
    if (read === undefined) throw garbled("it holds an unknown word");
    await read();
    if (files.size + firstLogs.length > MAX_FILES) throw garbled("it lists too many files");
  }
  const { directory, tailSize } = single;
  if (directory === undefined || tailSize === undefined || !files.has(manifest))
    throw garbled("it is incomplete");
  return { manifest, directory, firstLogs, tailSize, files };
}

async function readFile(fields: FieldReader): Promise<StagedFile> {
  const name = await fields.expect();
  if (!STAGED_NAME.test(name)) throw garbled("a file has no such name");
  const size = await fields.number();
  const device = await fields.expect();
  const inode = await fields.expect();
  const mtime = await fields.expect();
  const parts = /^(\d{1,12})(?:\.(\d{1,9})\d*)?$/.exec(mtime);
  if (!/^\d+$/.test(device) || !/^\d+$/.test(inode) || parts === null)
    throw garbled("a file is described wrongly");
  const nanoseconds = BigInt(parts[1] ?? 0) * 1_000_000_000n + BigInt((parts[2] ?? "").padEnd(9, "0"));
  return { name, size, device, inode, mtime: nanoseconds, owner: await readOwnership(fields) };
}

async function readOwnership(fields: FieldReader): Promise<Ownership> {
  const mode = await fields.expect();
  if (!/^[0-7]{1,4}$/.test(mode)) throw garbled("a mode is none");
  const uid = await fields.number();
  const gid = await fields.number();
  return {
    mode: Number.parseInt(mode, 8),
    uid,
    gid,
    user: nameOrNothing(await fields.expect()),
    group: nameOrNothing(await fields.expect()),
  };
}

/** find prints the number where there is no name. */
function nameOrNothing(field: string): string | undefined {
  return /^\d*$/.test(field) ? undefined : printable(field);
}

const PROBLEMS: Readonly<Record<string, { code: FailureCode; hint: string }>> = {
  tools: { code: "host/command-failed", hint: "install GNU coreutils, findutils and util-linux on the host" },
  missing: { code: "source/failed", hint: "check the path of this source in the policy" },
  staging: { code: "source/failed", hint: "set staging to a directory that the backup user may write to" },
  device: { code: "source/failed", hint: "set staging to a directory on the file system of the database" },
  permission: { code: "source/failed", hint: "log in as root or as the owner of the database" },
  link: { code: "source/failed", hint: "set staging to a directory on a file system with hard links" },
  space: { code: "space/low", hint: "free space on the host, or lower min_free of this source" },
  unit: { code: "source/failed", hint: "run systemctl status for the unit on the host" },
};

async function readProblem(fields: FieldReader): Promise<DropsError> {
  const known = PROBLEMS[await fields.expect()];
  const text = printable(await fields.expect());
  return new DropsError(known?.code ?? "host/command-failed", `freezing RocksDB: ${text}`, {
    hint: known?.hint,
  });
}

function printable(text: string): string {
  return text.replace(/\p{Cc}+/gu, " ").slice(0, 600);
}
