import { createHash, type Hash } from "node:crypto";
import { once } from "node:events";
import { constants, createZstdCompress, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { breathe } from "../lib/breathe.ts";
import type { ManifestEntry } from "./entry.ts";
import { decodeEntry, encodeEntry } from "./entry-line.ts";
import type { ManifestHead } from "./manifest-head.ts";

const BLOCK = 1024 * 1024;
/** No text in a line has a quote that is not escaped. */
const SAME = /,"same":"(?:[^"\\]|\\.)*"/;

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
  #hash: Hash = createHash("sha256");
  /** Entries that may yet be dropped, by the order in which they came. */
  #doubtful = new Set<number>();
  entries = 0;
  /** Logical bytes of all files. */
  bytes = 0;

  /**
   * Throws when entries come out of order: that is a bug of the source.
   *
   * @param isDoubtful only later is it known whether it was read well: until then no manifest says by what it is told from a changed file
   */
  add(entry: ManifestEntry, isDoubtful = false): void {
    if (this.#last && Buffer.compare(this.#last, entry.path) >= 0) {
      throw new Error(`entries out of order: ${entry.path.toString()} after ${this.#last.toString()}`);
    }
    this.#last = entry.path;
    const line = encodeEntry(entry, (pack) => this.#listIndex(pack));
    this.#take(line, entry.type === "file" ? entry.size : 0, isDoubtful);
  }

  /** Take entries back by their paths, and the hard links to them, of which it answers the paths. Reads all there is. */
  async drop(paths: readonly Buffer[]): Promise<Buffer[]> {
    this.#flush();
    const blocks = this.#blocks.splice(0);
    const doubtful = this.#doubtful;
    this.#doubtful = new Set();
    this.#hash = createHash("sha256");
    const before = this.entries;
    this.entries = 0;
    this.bytes = 0;
    const dropped = new Set(paths.map((path) => path.toString("latin1")));
    const links: Buffer[] = [];
    let at = 0;
    for (const line of linesOf(blocks)) {
      const { path, type, target, size } = decodeEntry(
        line.slice(0, -1),
        (index) => index,
        "an entry of this run",
      );
      const isLink = type === "hardlink" && target !== undefined && dropped.has(target.toString("latin1"));
      if (isLink) links.push(path);
      else if (!dropped.has(path.toString("latin1")))
        this.#take(line, type === "file" ? size : 0, doubtful.has(at));
      at++;
      await breathe();
    }
    if (at !== before) throw new Error(`${at} entries are held instead of ${before}`);
    return links;
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
   * One zstd frame of the whole manifest. Entries may be added afterwards, for a later one.
   *
   * @param unfinished for a checkpoint in the middle: `file` is still being read and stands in this one alone, so that it is
   *   known what was stored of it. What is doubtful is not taken for unchanged by whoever goes on from here.
   */
  async compressed(
    head: ManifestHead,
    unfinished?: { readonly file: ManifestEntry | undefined },
  ): Promise<Buffer> {
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
    let hash = this.#hash.copy();
    if (unfinished && this.#doubtful.size > 0) {
      hash = createHash("sha256");
      let at = 0;
      for (const line of linesOf(this.#blocks)) {
        const said = this.#doubtful.has(at++) ? line.replace(SAME, "") : line;
        hash.update(said);
        await write(said);
      }
    } else for (const block of this.#blocks) await write(zstdDecompressSync(block));
    if (unfinished?.file) {
      const line = encodeEntry(unfinished.file, (pack) => this.#listIndex(pack));
      hash.update(line);
      await write(line);
    }
    const entries = this.entries + (unfinished?.file ? 1 : 0);
    const end = { end: true, entries, sha256: hash.digest("hex") };
    stream.end(`${JSON.stringify(end)}\n`);
    await ended;
    return Buffer.concat(parts);
  }

  #take(line: string, bytes: number, isDoubtful: boolean): void {
    if (isDoubtful) this.#doubtful.add(this.entries);
    this.#lines.push(line);
    this.#hash.update(line);
    this.#held += line.length;
    this.entries++;
    this.bytes += bytes;
    if (this.#held >= BLOCK) this.#flush();
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

/** The lines of these blocks, newlines included. */
function* linesOf(blocks: readonly Buffer[]): Generator<string> {
  for (const block of blocks) {
    const text = zstdDecompressSync(block).toString();
    for (let start = 0; start < text.length; ) {
      const end = text.indexOf("\n", start) + 1;
      yield text.slice(start, end);
      start = end;
    }
  }
}
