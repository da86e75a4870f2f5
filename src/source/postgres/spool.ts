import type { RunningCommand } from "../../host/host.ts";
import type { Cancel } from "../../lib/cancel.ts";
import { DropsError } from "../../lib/errors.ts";
import { releaseAfterRead } from "../../lib/release-after-read.ts";
import type { PostgresClient } from "./client.ts";
import { toolFailure } from "./failure.ts";
import { type Lines, linesOf } from "./lines.ts";
import { SPOOL_SCRIPT } from "./spool-script.ts";

/** Below this much free space on the host (bytes) no dump is written there. */
const FLOOR = 512 * 1024 * 1024;

/** Why there is no spooled dump, though none failed: it is streamed instead. */
export interface NoRoom {
  readonly noRoom: string;
}

export interface SpooledDump {
  /** Bytes. */
  readonly size: number;
  /** Absolute path on the host; readable by `run_as`. */
  readonly path: string;
  /** What pg_dump said. */
  readonly stderr: string;
}

/** A private directory on the host for one dump. Closing it removes the directory; so does the end of this program. */
export class Spool implements AsyncDisposable {
  readonly #client: PostgresClient;
  readonly #script: RunningCommand;
  readonly #lines: Lines;
  readonly #directory: string;

  private constructor(client: PostgresClient, script: RunningCommand, lines: Lines, directory: string) {
    this.#client = client;
    this.#script = script;
    this.#lines = lines;
    this.#directory = directory;
  }

  /**
   * Make room for a dump of about `estimate` bytes that `pgDump` (arguments of pg_dump) will write. A fifth is added,
   * since values that are compressed on the server's disk are not in a dump; what is free is watched while it is written.
   */
  static async open(
    client: PostgresClient,
    how: Cancel & { readonly estimate: bigint; readonly pgDump: readonly string[] },
  ): Promise<Spool | NoRoom> {
    const command = client.words("pg_dump", how.pgDump);
    const script = await client.start(
      ["sh", "-c", SPOOL_SCRIPT, "drops-spool", String(FLOOR / 1024), ...command],
      how,
    );
    try {
      const lines = linesOf(script.stdout);
      const answer = /^(ready (?<kib>\d+) (?<directory>\/.*)|refused (?<why>.*))$/.exec(
        (await lines.next()) ?? "",
      );
      const { kib, directory, why } = answer?.groups ?? {};
      if (kib === undefined || directory === undefined) {
        return await giveUp(script, why ?? (await script.ended).stderr);
      }
      const free = BigInt(kib) * 1024n;
      const wanted = (how.estimate * 6n) / 5n + BigInt(FLOOR);
      if (free >= wanted) return new Spool(client, script, lines, directory);
      return await giveUp(
        script,
        `${mebibytes(free)} are free beside ${directory}, ${mebibytes(wanted)} wanted`,
      );
    } catch (error) {
      await script[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Run pg_dump into the spool. Throws source/failed when it fails for another reason than space. */
  async dump(how: Cancel): Promise<SpooledDump | NoRoom> {
    this.#script.stdin.write("dump\n");
    const line = await this.#lines.next();
    how.signal.throwIfAborted();
    const said = /^done (\d+) (\d+) ([01])$/.exec(line ?? "");
    const what = `pg_dump of ${this.#client.label}`;
    if (said === null) throw toolFailure("pg_dump", `${what} into a spool`, await this.#script.ended);
    const stderr = await this.#messages(how);
    if (said[3] === "1") return { noRoom: `less than ${mebibytes(BigInt(FLOOR))} were left free` };
    const status = Number(said[1]);
    if (status !== 0 && /No space left on device|Disk quota exceeded|File too large/.test(stderr)) {
      return { noRoom: "the disk filled up" };
    }
    if (status !== 0) throw toolFailure("pg_dump", what, endOf(status, stderr));
    return { size: Number(said[2]), path: `${this.#directory}/database.dump`, stderr };
  }

  /** The dump's bytes. Throws source/failed when they are not as many as were written, a host failure when reading fails. */
  async *read(dump: SpooledDump, how: Cancel): AsyncGenerator<Uint8Array> {
    await using cat = await this.#client.start(["cat", "--", dump.path], how);
    let size = 0;
    for await (const bytes of releaseAfterRead(cat.stdout)) {
      size += bytes.length;
      yield bytes;
    }
    const ended = await cat.ended;
    const what = `reading the spooled dump of ${this.#client.label}`;
    if (ended.exit !== 0) throw toolFailure("cat", what, ended);
    if (size !== dump.size) {
      throw new DropsError("source/failed", `${what} gave ${size} bytes instead of ${dump.size}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#script[Symbol.asyncDispose]();
  }

  async #messages(how: Cancel): Promise<string> {
    const read = await this.#client.runAny(["tail", "-c", "8192", "--", `${this.#directory}/messages`], how);
    return read.stdout.toString("utf8").replaceAll(/[^\P{Cc}\n]/gu, "");
  }
}

async function giveUp(script: RunningCommand, noRoom: string): Promise<NoRoom> {
  await script[Symbol.asyncDispose]();
  return { noRoom };
}

/** A shell tells of a signal by 128 and its number. */
function endOf(status: number, stderr: string): Parameters<typeof toolFailure>[2] {
  if (status <= 128) return { exit: status, signal: undefined, stderr };
  return { exit: undefined, signal: `signal ${status - 128}`, stderr };
}

function mebibytes(bytes: bigint): string {
  return `${bytes / (1024n * 1024n)} MiB`;
}
