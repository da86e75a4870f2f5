import { readFileSync } from "node:fs";
import type { Host, RunningCommand } from "../../../host/host.ts";
import type { Cancel } from "../../../lib/cancel.ts";
import { DropsError } from "../../../lib/errors.ts";
import { byteCount } from "../../../lib/units.ts";
import { unlessAborted } from "../../../lib/waiting.ts";
import type { RocksdbPolicy } from "../../../policy/schema.ts";
import { closeScript, FieldReader, reasonFor } from "../../script-channel.ts";
import { type AgainReport, type FrozenReport, type Hello, readAttempt, readHello } from "./report.ts";

const SCRIPT = readFileSync(new URL("./host-script.sh", import.meta.url), "utf8");

/**
 * The script on the host that holds the staging directory: it exists as long as this is open. When drops dies, the
 * script sees its input end and removes it.
 */
export class FreezeChannel implements AsyncDisposable {
  readonly hello: Hello;
  readonly #command: RunningCommand;
  readonly #fields: FieldReader;
  readonly #label: string;
  #answered: Promise<void> = Promise.resolve();

  /** Throws source/failed or space/low with the script's reason when the host or the policy does not allow a freeze. */
  static async open(source: RocksdbPolicy, how: Cancel & { readonly host: Host }): Promise<FreezeChannel> {
    const argv = [
      "sh",
      "-c",
      SCRIPT,
      "drops-rocksdb",
      source.mode,
      source.path,
      source.staging ?? "",
      String(byteCount(source.min_free)),
      source.unit ?? "",
    ];
    // Not how.signal: to abort is to close the input, so that the script cleans up instead of being killed.
    const command = await how.host.start(argv, { signal: new AbortController().signal });
    const fields = new FieldReader(command.stdout);
    try {
      const hello = await unlessAborted(readHello(fields), how.signal);
      return new FreezeChannel(command, fields, hello, how.host.label);
    } catch (error) {
      const reason = await reasonFor(error, command, scriptOn(how.host.label));
      await closeScript(command);
      throw reason;
    }
  }

  private constructor(command: RunningCommand, fields: FieldReader, hello: Hello, label: string) {
    this.#command = command;
    this.#fields = fields;
    this.#label = label;
    this.hello = hello;
  }

  /** Link and copy once more; what an earlier attempt left in staging is gone. */
  async attempt(how: Cancel): Promise<FrozenReport | AgainReport> {
    return this.#ask("go", readAttempt, how.signal);
  }

  /** Bytes that are free on the file system of the staging directory. */
  async freeBytes(how: Cancel): Promise<number> {
    return this.#ask("free", readFree, how.signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#command.stdin.writable) this.#say("done");
    await closeScript(this.#command);
  }

  #say(command: string): void {
    this.#command.stdin.write(`${command}\n`);
  }

  /** One question at a time: an answer that nobody waits for any more is still read before the next one. */
  async #ask<T>(command: string, read: (fields: FieldReader) => Promise<T>, signal: AbortSignal): Promise<T> {
    const answer = this.#answered.then(() => {
      this.#say(command);
      return read(this.#fields);
    });
    this.#answered = answer.then(ignore, ignore);
    try {
      return await unlessAborted(answer, signal);
    } catch (error) {
      throw await reasonFor(error, this.#command, scriptOn(this.#label));
    }
  }
}

function scriptOn(label: string): string {
  return `the freeze script on ${label}`;
}

function ignore(): void {}

async function readFree(fields: FieldReader): Promise<number> {
  if ((await fields.expect()) !== "free")
    throw new DropsError("host/command-failed", "asking for free space failed");
  return fields.number();
}
