import assert from "node:assert/strict";
import { hash, randomBytes } from "node:crypto";
import test from "node:test";
import { zstdDecompressSync } from "node:zlib";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import fc from "fast-check";
import { isFailure } from "../../src/lib/errors.ts";
import { releaseAfterRead } from "../../src/lib/release-after-read.ts";
import { type OpenJob, runOpen, runSeal } from "../../src/pack/jobs.ts";
import {
  COMPRESSED_AT,
  MAX_CHUNK,
  MAX_PACK_TAR,
  PACK_BUFFER_SIZE,
  PackBuffer,
  TAR_AT,
} from "../../src/pack/pack-buffer.ts";
import { compressInto, decompressInto } from "../../src/pack/zstd-in-place.ts";
import { newSealKey, seal } from "../../src/seal/age-stream.ts";
import { slotOf } from "../support/slot-of.ts";

/** A pack lives in one buffer from its first byte to the wire and back: whatever it holds, no byte may meet another. */
const MiB = 1024 * 1024;
const contents: readonly [what: string, chunk: (at: number) => Uint8Array][] = [
  ["bytes that cannot be compressed", () => randomBytes(MAX_CHUNK)],
  ["zeros", () => new Uint8Array(MAX_CHUNK)],
  [
    "first what cannot be compressed, then zeros",
    (at) => (at < 4 ? randomBytes(MAX_CHUNK) : new Uint8Array(MAX_CHUNK - at)),
  ],
  [
    "first zeros, then what cannot be compressed",
    (at) => (at < 4 ? new Uint8Array(MAX_CHUNK - at) : randomBytes(MAX_CHUNK)),
  ],
  [
    "one or the other, in turns of 4 KiB",
    () =>
      Buffer.concat(
        Array.from({ length: 512 }, (_, at) => (at % 2 ? randomBytes(4096) : Buffer.alloc(4096))),
      ),
  ],
];

for (const [what, chunkAt] of contents) {
  test(`a full pack of ${what} is sealed and opened where it lies`, async () => {
    const buffer = new PackBuffer(new ArrayBuffer(PACK_BUFFER_SIZE));
    const ids: string[] = [];
    for (let at = 0; buffer.hasRoom; at++) {
      buffer.append(chunkAt(at));
      ids.push(buffer.chunkId());
      buffer.keepChunk(ids.at(-1) ?? "");
    }
    const used = buffer.finish();
    const tar = Buffer.from(buffer.memory, TAR_AT, used);
    const before = hash("sha256", tar, "hex");
    const { recipient, identity } = await newKeys();
    const key = await newSealKey(Array.from({ length: 30 }, () => recipient));
    const sealed = await runSeal({ kind: "seal", memory: buffer.memory, used, key, level: 1 });
    const slot = slotOf(new Uint8Array(sealed.memory, 0, sealed.size));
    const opened = await runOpen({ kind: "open", ...slot, sha256: sealed.sha256, identities: [identity] });
    assert.deepEqual(
      opened.chunks.map(({ id }) => id),
      ids,
    );
    assert.equal(hash("sha256", opened.tar, "hex"), before);
  });
}

test("whatever is compressed over itself comes back, through zstd's own one call and over itself", async () => {
  const piece = fc.oneof(
    fc.tuple(fc.constant("random"), fc.nat(300_000)),
    fc.tuple(fc.constant("zeros"), fc.nat(3_000_000)),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 12 }), async (pieces) => {
      const plain = Buffer.concat(
        pieces.map(([kind, size]) => (kind === "random" ? randomBytes(size) : Buffer.alloc(size))),
      ).subarray(0, MAX_PACK_TAR);
      const memory = Buffer.alloc(TAR_AT + plain.length);
      memory.set(plain, TAR_AT);
      const at = memory.subarray(COMPRESSED_AT);
      const compressed = Buffer.from(at.subarray(0, await compressInto(memory.subarray(TAR_AT), at, 1)));
      assert.ok(zstdDecompressSync(compressed).equals(plain));
      const room = Buffer.alloc(Math.max(plain.length, compressed.length) + TAR_AT);
      const end = room.subarray(room.length - compressed.length);
      end.set(compressed);
      assert.ok(room.subarray(0, await decompressInto(end, room)).equals(plain));
    }),
    { numRuns: 30 },
  );
});

test("output that would meet bytes that are still to be read is refused, and so is what does not fit", async () => {
  const memory = randomBytes(4 * MiB);
  await assert.rejects(compressInto(memory, memory, 1), RangeError);
  await assert.rejects(compressInto(memory, new Uint8Array(2 * MiB), 1), RangeError);
});

const zeros = frame(Array.from({ length: 256 }, () => rle(128 * 1024)));
const hostile: readonly [what: string, plain: Uint8Array, cause: RegExp][] = [
  [
    "more than a pack holds",
    frame(Array.from({ length: 257 }, () => rle(128 * 1024))),
    /passes the \d+ bytes/,
  ],
  [
    "a full pack, then megabytes of empty blocks",
    Buffer.concat([zeros, Buffer.alloc(3 * 1_000_000), Buffer.from([1, 0, 0])]),
    /written over bytes that it has not read/,
  ],
  ["half a frame", zeros.subarray(0, zeros.length / 2), /./],
  ["no frame", Buffer.from("no frame at all"), /./],
];
for (const [what, plain, cause] of hostile) {
  test(`a sealed pack of ${what} is damage`, async () => {
    const { recipient, identity } = await newKeys();
    const sealed = await seal([recipient], plain);
    const job: OpenJob = {
      kind: "open",
      ...slotOf(sealed),
      sha256: hash("sha256", sealed, "hex"),
      identities: [identity],
    };
    await assert.rejects(
      runOpen(job),
      (error) => isFailure(error, "data/damaged") && cause.test(String(error.cause)),
    );
  });
}

test("a piece is whole until the next one is asked for, and gone then; small ones may share memory and stay", async () => {
  const [large, pooled] = [new Uint8Array(40_000).fill(7), Buffer.from("a few words")];
  const pieces = releaseAfterRead([large, pooled, new Uint8Array(1)][Symbol.iterator]() as never)[
    Symbol.asyncIterator
  ]();
  assert.equal((await pieces.next()).value?.[39_999], 7);
  assert.equal((await pieces.next()).value?.length, 11);
  assert.equal(large.length, 0);
  await pieces.next();
  assert.equal(pooled.toString(), "a few words");
});

/** A frame without its last block's mark (RFC 8878, 3.1.1): single segment of 32 MiB, no checksum. */
function frame(blocks: readonly Uint8Array[]): Buffer {
  return Buffer.concat([Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x78]), ...blocks]);
}

function rle(size: number): Buffer {
  const block = Buffer.alloc(4);
  block.writeUIntLE((size << 3) | 2, 0, 3);
  return block;
}

async function newKeys(): Promise<{ identity: string; recipient: string }> {
  const identity = await generateX25519Identity();
  return { identity, recipient: await identityToRecipient(identity) };
}
