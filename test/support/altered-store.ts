import type { BlobReader, BlobStore } from "../../src/store/blob-store.ts";
import { openMemoryStore } from "./memory-store.ts";

const HOW = { signal: new AbortController().signal };
const UNBOUNDED = { ...HOW, maxSize: 2 ** 30 };

/** A store's objects, to be changed at will: what a malicious bucket could hand out. */
export class Objects {
  readonly #bytes: Map<string, Uint8Array>;

  private constructor(bytes: Map<string, Uint8Array>) {
    this.#bytes = bytes;
  }

  static async of(store: BlobReader): Promise<Objects> {
    const bytes = new Map<string, Uint8Array>();
    for await (const { key } of store.list("", HOW)) bytes.set(key, await store.get(key, UNBOUNDED));
    return new Objects(bytes);
  }

  /** The same objects, to be changed apart from these. */
  copy(): Objects {
    return new Objects(new Map(this.#bytes));
  }

  keys(): string[] {
    return [...this.#bytes.keys()];
  }

  /** A copy of one object. */
  get(key: string): Buffer {
    const bytes = this.#bytes.get(key);
    if (!bytes) throw new Error(`the test means an object that is not there: ${key}`);
    return Buffer.from(bytes);
  }

  set(key: string, bytes: Uint8Array): void {
    this.#bytes.set(key, bytes);
  }

  remove(key: string): void {
    if (!this.#bytes.delete(key)) throw new Error(`the test means an object that is not there: ${key}`);
  }

  /** Put what `from` holds under `to` as well, or in its place. */
  put(from: string, to: string): void {
    this.#bytes.set(to, this.get(from));
  }

  /** Without the last `count` bytes. */
  truncate(key: string, count = 1): void {
    this.#bytes.set(key, this.get(key).subarray(0, -count));
  }

  async asStore(): Promise<BlobStore> {
    const store = openMemoryStore();
    for (const [key, bytes] of this.#bytes) await store.put(key, bytes, HOW);
    return store;
  }
}
