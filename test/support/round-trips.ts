import { setImmediate } from "node:timers/promises";
import type { BlobInfo, BlobReader } from "../../src/store/blob-store.ts";

/** As many passes of the event loop without a new question mean that everybody waits for an answer. */
const QUIET = 20;

/**
 * A store that answers all that it was asked so far at once, and only when nobody asks any more: `trips` counts how often a
 * caller far away would have waited, whatever this machine does beside it.
 */
export class RoundTrips {
  trips = 0;
  #waiting: (() => void)[] = [];
  #isRunning = false;

  over<Store extends BlobReader>(store: Store): Store {
    const { get, list, now } = {
      get: async (...how: Parameters<BlobReader["get"]>) => {
        await this.#trip();
        return store.get(...how);
      },
      list: (...how: Parameters<BlobReader["list"]>) => this.#list(store.list(...how)),
      now: async (...how: Parameters<BlobReader["now"]>) => {
        await this.#trip();
        return store.now(...how);
      },
    };
    return new Proxy(store, {
      get: (target, name) => ({ get, list, now })[name as "get"] ?? Reflect.get(target, name, target),
    });
  }

  async *#list(blobs: AsyncIterable<BlobInfo>): AsyncGenerator<BlobInfo> {
    await this.#trip(); // of pages of 1000 names: these tests have fewer
    yield* blobs;
  }

  async #trip(): Promise<void> {
    const answered = new Promise<void>((resolve) => this.#waiting.push(resolve));
    if (!this.#isRunning) void this.#answer();
    await answered;
  }

  async #answer(): Promise<void> {
    this.#isRunning = true;
    while (this.#waiting.length > 0) {
      for (let known = this.#waiting.length, quiet = 0; quiet < QUIET; quiet++) {
        await setImmediate();
        if (this.#waiting.length !== known) [known, quiet] = [this.#waiting.length, 0];
      }
      this.trips++;
      for (const answer of this.#waiting.splice(0)) answer();
    }
    this.#isRunning = false;
  }
}
