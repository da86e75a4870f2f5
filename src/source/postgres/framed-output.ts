import { DropsError } from "../../lib/errors.ts";
import { MOST_ANSWERED, MOST_ROWS } from "../../lib/limits.ts";

const LINE_FEED = 10;

/** Takes a line in pieces, each valid during the call alone. */
export type TakeLine = (bytes: Uint8Array, isLast: boolean) => void;

/** What psql answers, up to a line that was agreed on. Lines end with line feeds alone. */
export class FramedOutput {
  readonly #pieces: AsyncIterator<Uint8Array>;
  readonly #frame: Buffer;
  #rest: Buffer = Buffer.alloc(0);

  constructor(output: AsyncIterable<Uint8Array>, frame: string) {
    this.#pieces = output[Symbol.asyncIterator]();
    this.#frame = Buffer.from(frame);
  }

  /** An answer's lines; undefined when the output ends before the frame. Throws source/failed when there is no end of it. */
  async lines(): Promise<readonly string[] | undefined> {
    const kept: Buffer[] = [];
    const lines: string[] = [];
    let size = 0;
    const whole = await this.rows((bytes, isLast) => {
      size += bytes.length;
      if (size > MOST_ANSWERED || lines.length >= MOST_ROWS)
        throw new DropsError("source/failed", "psql printed too much output");
      kept.push(Buffer.from(bytes));
      if (isLast) lines.push(Buffer.concat(kept.splice(0)).toString("utf8"));
    });
    return whole ? lines : undefined;
  }

  /** An answer's lines as they come; false when the output ends before the frame. */
  async rows(take: TakeLine): Promise<boolean> {
    for (let isBegun = false; ; ) {
      const [end, from] = this.#wholeLines(take, isBegun);
      if (end === "frame") return true;
      const left = this.#rest.subarray(from);
      // a beginning that is longer than the frame is that of a row
      isBegun = (isBegun && end === "none") || left.length > this.#frame.length;
      if (isBegun) take(left, false);
      const next = await this.#pieces.next();
      if (next.done) return false;
      this.#rest = isBegun || left.length === 0 ? Buffer.from(next.value) : Buffer.concat([left, next.value]);
    }
  }

  /** Pass on the lines that end in what is here; answers how the last of them ended, and where what follows begins. */
  #wholeLines(take: TakeLine, isBegun: boolean): readonly [end: "frame" | "line" | "none", from: number] {
    let [end, from]: ["line" | "none", number] = ["none", 0];
    for (let to = this.#rest.indexOf(LINE_FEED); to !== -1; to = this.#rest.indexOf(LINE_FEED, from)) {
      const line = this.#rest.subarray(from, to);
      from = to + 1;
      if ((end === "line" || !isBegun) && line.equals(this.#frame)) {
        this.#rest = this.#rest.subarray(from);
        return ["frame", from];
      }
      take(line, true);
      end = "line";
    }
    return [end, from];
  }
}
