import type { Writable } from "node:stream";
import { breathe } from "../lib/breathe.ts";
import type { Cancel } from "../lib/cancel.ts";

/** What is smaller is gathered, what is larger goes out from where it lies. Bytes. */
const GATHERED = 64 * 1024;
const BUFFER = 256 * 1024;

/**
 * Writes to a stream that may stand still. When `write` returns, the memory that was given may be used for something
 * else. Throws what the stream reports, and the signal's reason; `finish` hands out the rest and ends nothing.
 */
export class ByteSink implements Disposable {
  readonly #into: Writable;
  readonly #signal: AbortSignal;
  readonly #buffer = Buffer.allocUnsafeSlow(BUFFER);
  #used = 0;
  #failure: { readonly error: unknown } | undefined;
  #reject: ((error: unknown) => void) | undefined;
  readonly #onAbort = () => this.#fail(this.#signal.reason);
  readonly #onError = (error: unknown) => this.#fail(error);
  readonly #onClose = () => this.#fail(new Error("the stream was closed"));
  /** Bytes taken so far. */
  written = 0;

  constructor(into: Writable, how: Cancel) {
    this.#into = into;
    this.#signal = how.signal;
    into.on("error", this.#onError);
    into.on("close", this.#onClose);
    how.signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.written += bytes.length;
    if (bytes.length >= GATHERED || this.#used + bytes.length > BUFFER) await this.finish();
    if (bytes.length >= GATHERED) {
      await this.#send(bytes);
    } else {
      this.#buffer.set(bytes, this.#used);
      this.#used += bytes.length;
    }
  }

  async finish(): Promise<void> {
    if (this.#used === 0) return;
    await this.#send(this.#buffer.subarray(0, this.#used));
    this.#used = 0;
  }

  /** Listens no more. */
  [Symbol.dispose](): void {
    this.#into.off("error", this.#onError);
    this.#into.off("close", this.#onClose);
    this.#signal.removeEventListener("abort", this.#onAbort);
  }

  async #send(bytes: Uint8Array): Promise<void> {
    this.#signal.throwIfAborted();
    if (this.#failure) throw this.#failure.error;
    await new Promise<void>((resolve, reject) => {
      this.#reject = reject;
      this.#into.write(bytes, (error) => (error ? reject(error) : resolve()));
    });
    this.#reject = undefined;
    await breathe(); // a fast reader takes every write at once
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#reject?.(error);
  }
}
