import { stripVTControlCharacters } from "node:util";

const KEPT = 8 * 1024;

/** What may not reach a terminal or a log from a stranger: control characters except line feed and tab, and bidirectional overrides. */
const UNSAFE = /[^\P{Cc}\n\t]|[\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** The last 8 KiB of a stream of bytes, as text that is safe to show. */
export class StderrTail {
  #kept: Buffer = Buffer.alloc(0);

  add(bytes: Uint8Array): void {
    const latest = bytes.subarray(-KEPT);
    this.#kept = Buffer.concat([this.#kept.subarray(-(KEPT - latest.length) || this.#kept.length), latest]);
  }

  text(): string {
    return stripVTControlCharacters(this.#kept.toString("utf8")).replace(UNSAFE, "").trim();
  }
}
