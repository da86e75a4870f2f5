/** The content of a tar's entry, sparse or not. */
import type { ByteInput } from "../../lib/byte-input.ts";
import type { Hole } from "../../snapshot/entry.ts";
import { MIN_HOLE } from "../../snapshot/holes.ts";
import { damagedTar, paddingOf } from "./tar-header.ts";
import { type PaxRecords, paxNumber } from "./tar-pax.ts";
import { type DataSegment, readSparseMap } from "./tar-sparse.ts";

const ZEROS = Buffer.alloc(MIN_HOLE);

interface Shape {
  readonly segments: readonly DataSegment[];
  readonly size: number;
  readonly sparse: boolean;
  readonly unusable?: string | undefined;
}

/** The content that follows, `stored` bytes in the tar. */
export async function openContent(
  input: ByteInput,
  stored: number,
  records: PaxRecords,
): Promise<TarContent> {
  const major = records.get("GNU.sparse.major")?.toString("latin1");
  if (major === undefined && !records.has("GNU.sparse.map") && !records.has("GNU.sparse.numblocks"))
    return new TarContent(input, stored, {
      segments: [{ offset: 0, size: stored }],
      size: stored,
      sparse: false,
    });
  const size = paxNumber(records, "GNU.sparse.realsize", Number.POSITIVE_INFINITY);
  if (major !== "1" || records.get("GNU.sparse.minor")?.toString("latin1") !== "0" || size === undefined)
    throw damagedTar("has a sparse file of an unknown version");
  const { segments, mapSize, unusable } = await readSparseMap(input, stored, size);
  const shape = { segments, size: unusable === undefined ? size : 0, sparse: true, unusable };
  return new TarContent(input, stored - mapSize, shape, paddingOf(stored));
}

/** The content of the entry at hand: what of its stored bytes was not read yet must be skipped before the next header. */
class TarContent {
  readonly size: number;
  readonly sparse: boolean;
  readonly holes: readonly Hole[] | undefined;
  readonly unusable: string | undefined;
  readonly #input: ByteInput;
  readonly #segments: readonly DataSegment[];
  readonly #padding: number;
  #unread: number;
  #over = false;

  constructor(input: ByteInput, stored: number, shape: Shape, padding = paddingOf(stored)) {
    this.#input = input;
    this.#unread = stored;
    this.#padding = padding;
    this.#segments = shape.segments;
    this.size = shape.size;
    this.sparse = shape.sparse;
    this.unusable = shape.unusable;
    const holes = shape.sparse ? [...gaps(shape.segments, shape.size)].filter(isLong) : [];
    this.holes = holes.length === 0 ? undefined : holes;
  }

  /** Without the long holes; short ones are zeros. */
  async *read(): AsyncGenerator<Uint8Array> {
    let at = 0;
    for (const { offset, size } of this.#segments) {
      if (offset > at && offset - at < MIN_HOLE) yield ZEROS.subarray(0, offset - at);
      for (let left = size; left > 0; ) {
        if (this.#over) throw new Error("a tar entry was read after the next one was pulled");
        const piece = await this.#input.some(left);
        left -= piece.length;
        this.#unread -= piece.length;
        yield piece;
      }
      at = offset + size;
    }
    if (this.size > at && this.size - at < MIN_HOLE) yield ZEROS.subarray(0, this.size - at);
  }

  async skipRest(): Promise<void> {
    this.#over = true;
    await this.#input.skip(this.#unread + this.#padding);
  }
}

function* gaps(segments: readonly DataSegment[], end: number): Generator<Hole> {
  let at = 0;
  for (const { offset, size } of segments) {
    if (offset > at) yield { offset: at, size: offset - at };
    at = offset + size;
  }
  if (end > at) yield { offset: at, size: end - at };
}

function isLong({ size }: Hole): boolean {
  return size >= MIN_HOLE;
}
