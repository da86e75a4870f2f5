import { createHash } from "node:crypto";
import { once } from "node:events";
import { constants, createZstdCompress, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import type { ManifestEntry } from "./entry.ts";
import { encodeEntry } from "./entry-line.ts";
import type { ManifestHead } from "./manifest-head.ts";

const BLOCK = 1024 * 1024;

/**
 * Collects the entries of one source, held compressed (about 80 bytes a file), and writes the manifest's plaintext:
 * a head line, a line per entry in ascending order of path bytes, an end line with their number.
 */
export class ManifestWriter {
  readonly #blocks: Buffer[] = [];
  readonly #indexOf = new Map<number, number>();
  #lines: string[] = [];
  #held = 0;
  #last: Buffer | undefined;
  readonly #hash = createHash("sha256");
  entries = 0;
  /** Logical bytes of all files. */
  bytes = 0;

  /** Throws when entries come out of order: that is a bug of the source. */
  add(entry: ManifestEntry): void {
    if (this.#last && Buffer.compare(this.#last, entry.path) >= 0) {
      throw new Error(`entries out of order: ${entry.path.toString()} after ${this.#last.toString()}`);
    }
    this.#last = entry.path;
    const line = encodeEntry(entry, (pack) => this.#listIndex(pack));
    this.#lines.push(line);
    this.#hash.update(line);
    this.#held += line.length;
    this.entries++;
    this.bytes += entry.type === "file" ? entry.size : 0;
    if (this.#held >= BLOCK) this.#flush();
  }

  /** The run's pack numbers that the entries refer to, in the order of the list. */
  packs(): number[] {
    return [...this.#indexOf.keys()];
  }

  /** SHA-256 of all entry lines so far: two manifests with the same one hold the same entries. */
  digest(): string {
    return this.#hash.copy().digest("hex");
  }

  /**
   * One zstd frame of the whole manifest. Entries may be added afterwards, for a later one; `unfinished` is a file that
   * is still being read and stands in this one alone, so that a checkpoint knows what was stored of it.
   */
  async compressed(head: ManifestHead, unfinished?: ManifestEntry): Promise<Buffer> {
    this.#flush();
    const stream = createZstdCompress({
      params: { [constants.ZSTD_c_compressionLevel]: 3 },
      chunkSize: BLOCK,
    });
    const parts: Buffer[] = [];
    stream.on("data", (part: Buffer) => parts.push(part));
    const ended = once(stream, "end");
    const write = async (bytes: string | Buffer) => {
      if (!stream.write(bytes)) await once(stream, "drain");
    };
    await write(`${JSON.stringify(head)}\n`);
    for (const block of this.#blocks) await write(zstdDecompressSync(block));
    const hash = this.#hash.copy();
    if (unfinished) {
      const line = encodeEntry(unfinished, (pack) => this.#listIndex(pack));
      hash.update(line);
      await write(line);
    }
    const end = { end: true, entries: this.entries + (unfinished ? 1 : 0), sha256: hash.digest("hex") };
    stream.end(`${JSON.stringify(end)}\n`);
    await ended;
    return Buffer.concat(parts);
  }

  #listIndex(pack: number): number {
    const known = this.#indexOf.get(pack);
    if (known !== undefined) return known;
    const index = this.#indexOf.size;
    this.#indexOf.set(pack, index);
    return index;
  }

  #flush(): void {
    if (this.#lines.length === 0) return;
    this.#blocks.push(
      zstdCompressSync(this.#lines.join(""), { params: { [constants.ZSTD_c_compressionLevel]: 1 } }),
    );
    this.#lines = [];
    this.#held = 0;
  }
}
