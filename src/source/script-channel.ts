import { commandFailed } from "../host/expect-success.ts";
import type { RunningCommand } from "../host/host.ts";
import { DropsError } from "../lib/errors.ts";
import { within } from "../lib/waiting.ts";

// What those share who talk with a script on the host: it answers in fields ended by NUL, and cleans up when its input ends.

/** Unless the caller expects longer ones. Bytes. */
const MAX_FIELD = 8192;
const CLEAN_UP_MS = 30_000;

/** Fields ended by NUL, pulled one at a time from what the host script prints. */
export class FieldReader {
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #most: number;
  #rest: Buffer = Buffer.alloc(0);
  #at = 0;

  /** @param most bytes of a field */
  constructor(stdout: AsyncIterable<Uint8Array>, most = MAX_FIELD) {
    this.#most = most;
    this.#chunks = stdout[Symbol.asyncIterator]();
  }

  /** The next field; undefined at the end. Throws host/command-failed when it is longer than any field may be. */
  async next(): Promise<string | undefined> {
    for (;;) {
      const nul = this.#rest.indexOf(0, this.#at);
      if (nul >= 0) {
        const field = this.#rest.toString("utf8", this.#at, nul);
        this.#at = nul + 1;
        return field;
      }
      this.#rest = this.#rest.subarray(this.#at);
      this.#at = 0;
      if (this.#rest.length > this.#most) throw garbled("a field is too long");
      const more = await this.#chunks.next();
      if (more.done === true) return undefined;
      this.#rest = Buffer.concat([this.#rest, more.value]);
    }
  }

  async expect(): Promise<string> {
    const field = await this.next();
    if (field === undefined) throw garbled("it ended early");
    return field;
  }

  async number(): Promise<number> {
    const field = await this.expect();
    const value = Number(field);
    if (!/^\d{1,16}$/.test(field) || !Number.isSafeInteger(value)) throw garbled("a number is none");
    return value;
  }
}

/** Cleaning up takes a moment: the script is only forced to end when it does not end by itself. */
export async function closeScript(command: RunningCommand): Promise<void> {
  command.stdin.end();
  command.stdout.resume();
  await within(
    CLEAN_UP_MS,
    command.ended.catch(() => undefined),
  );
  await command[Symbol.asyncDispose]();
}

/** An answer that broke off is the symptom; how the script ended is the cause. `what` begins the sentence. */
export async function reasonFor(error: unknown, command: RunningCommand, what: string): Promise<unknown> {
  if (!(error instanceof DropsError) || error.code !== "host/command-failed" || error.hint !== undefined)
    return error;
  command.stdin.end();
  command.stdout.resume();
  try {
    const ended = await command.ended;
    return ended.exit === 0 ? error : commandFailed(what, ended);
  } catch (lost) {
    return lost;
  }
}

/** The answer of a script is not what it should be: of a host that is hostile, or of another version. */
export function garbled(why: string): DropsError {
  return new DropsError("host/command-failed", `the answer of the script on the host cannot be read: ${why}`);
}
