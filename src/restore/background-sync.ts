import type { Host } from "../host/host.ts";
import type { Cancel } from "../lib/cancel.ts";

const SYNC_EVERY = 512 * 1024 * 1024;

/** While a directory is being filled, the disk begins with what was written before the next bytes arrive. */
export class BackgroundSync {
  readonly #host: Host;
  readonly #directory: string;
  #unsynced = 0;
  #syncing: Promise<unknown> | undefined;

  constructor(host: Host, directory: string) {
    this.#host = host;
    this.#directory = directory;
  }

  /** So many bytes more were written. One sync at a time; its failure is the last one's to tell, which is waited for. */
  wrote(bytes: number, how: Cancel): void {
    this.#unsynced += bytes;
    if (this.#unsynced < SYNC_EVERY || this.#syncing !== undefined) return;
    this.#unsynced = 0;
    this.#syncing = this.#host
      .run(["sync", "-f", "--", this.#directory], how)
      .catch(() => {})
      .finally(() => {
        this.#syncing = undefined;
      });
  }

  /** Resolves when none is under way. */
  async settled(): Promise<void> {
    await this.#syncing;
  }
}
