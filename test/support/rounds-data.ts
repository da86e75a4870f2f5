import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fixedBytes } from "./fixed-bytes.ts";

/** Source to file name to content: what a complete snapshot of now has to hold. */
export type Contents = ReadonlyMap<string, ReadonlyMap<string, Buffer>>;

const SOURCES = ["bridge", "media", "notes"] as const;
const FILES = 5;
/** Few, so that a source becomes again what it once was. */
const VARIANTS = 3;

/** Three sources whose files change, go, and come back as they once were. */
export class RoundsData {
  readonly #directory: string;
  readonly #random: () => number;
  readonly #variants = new Map<string, number>();

  constructor(directory: string, random: () => number) {
    this.#directory = directory;
    this.#random = random;
  }

  /** YAML of a policy's `sources`. */
  get sources(): string {
    return SOURCES.map(
      (name) => `  - { name: ${name}, kind: files, paths: ["${join(this.#directory, name)}"] }\n`,
    ).join("");
  }

  /** Change some files of some sources; the first time, make them all. */
  async change(): Promise<Contents> {
    const isFirst = this.#variants.size === 0;
    for (const source of SOURCES) {
      if (isFirst || this.#random() < 0.7) await this.#changeSource(source, isFirst);
    }
    return new Map(SOURCES.map((source) => [source, this.#contentsOf(source)]));
  }

  async #changeSource(source: string, isFirst: boolean): Promise<void> {
    for (let file = 0; file < FILES; file++) {
      if (!isFirst && this.#random() < 0.6) continue;
      const isGone = !isFirst && file > 0 && this.#random() < 0.2; // one is always there
      await this.#set(source, file, isGone ? -1 : Math.floor(this.#random() * VARIANTS));
    }
  }

  async #set(source: string, file: number, variant: number): Promise<void> {
    const key = `${source}/${file}`;
    if (this.#variants.get(key) === variant) return;
    this.#variants.set(key, variant);
    const path = join(this.#directory, key);
    await mkdir(join(this.#directory, source), { recursive: true });
    if (variant < 0) await rm(path, { force: true });
    else await writeFile(path, contentOf(key, variant));
  }

  #contentsOf(source: string): ReadonlyMap<string, Buffer> {
    const there = Array.from({ length: FILES }, (_, file) => `${source}/${file}`)
      .map((key) => [key, this.#variants.get(key) ?? -1] as const)
      .filter(([, variant]) => variant >= 0);
    return new Map(there.map(([key, variant]) => [key.slice(source.length + 1), contentOf(key, variant)]));
  }
}

function contentOf(key: string, variant: number): Buffer {
  const size = 100_000 + Number(key.slice(-1)) * 200_000;
  return fixedBytes(`${key}, variant ${variant}`, size);
}
