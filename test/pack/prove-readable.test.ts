import assert from "node:assert/strict";
import { test } from "node:test";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { runSeal, type SealJob } from "../../src/pack/jobs.ts";
import { PACK_BUFFER_SIZE, PackBuffer, TAR_AT } from "../../src/pack/pack-buffer.ts";
import { newSealKey } from "../../src/seal/age-stream.ts";
import { setPrefix } from "../support/altered-header.ts";
import { fixedBytes } from "../support/fixed-bytes.ts";

const CHUNKS = [1, 511, 70_000].map((size) => fixedBytes(String(size), size));

async function job(): Promise<SealJob & { readonly prove: readonly string[] }> {
  const buffer = new PackBuffer(new ArrayBuffer(PACK_BUFFER_SIZE));
  const prove = CHUNKS.map((chunk) => {
    buffer.append(chunk);
    const id = buffer.chunkId();
    buffer.keepChunk(id);
    return id;
  });
  const key = await newSealKey([await identityToRecipient(await generateX25519Identity())]);
  return { kind: "seal", memory: buffer.memory, used: buffer.finish(), key, level: 1, prove };
}

function tarOf({ memory, used }: SealJob): Buffer {
  return Buffer.from(memory, TAR_AT, used);
}

test("a pack that age, zlib and tar read as it was filled is sealed", async () => {
  assert.ok((await runSeal(await job())).size > 70_000);
});

const refused: readonly [
  what: string,
  spoil: (job: SealJob & { prove: readonly string[] }) => Promise<SealJob> | SealJob,
  why: RegExp,
][] = [
  [
    "is sealed with another key than its header tells",
    async (one) => ({ ...one, key: { ...one.key, fileKey: (await job()).key.fileKey } }),
    /: age cannot read it \(/,
  ],
  [
    "has a header that tar reads otherwise",
    (one) => {
      setPrefix(tarOf(one));
      return one;
    },
    /: tar reads the name other\/[0-9a-f]{64} in it instead of [0-9a-f]{64}$/,
  ],
  [
    "has a header whose checksum is wrong",
    (one) => {
      tarOf(one).write("000001\0 ", 148, "latin1");
      return one;
    },
    /: tar cannot read it \(/,
  ],
  [
    "holds a chunk that changed in memory",
    (one) => {
      tarOf(one).write("!", 512, "latin1");
      return one;
    },
    /: tar reads other bytes in it than chunk [0-9a-f]{64} has$/,
  ],
  [
    "lost a chunk",
    (one) => ({ ...one, prove: [...one.prove, "0".repeat(64)] }),
    /: tar reads 3 entries in it instead of 4 chunks$/,
  ],
  [
    "holds chunks in another order",
    (one) => ({ ...one, prove: one.prove.toReversed() }),
    /: tar reads the name /,
  ],
  [
    "is no tar but gzip, which tar would inflate",
    (one) => {
      tarOf(one).set([0x1f, 0x8b]);
      return one;
    },
    /: tar cannot read it \(it is compressed once more\)$/,
  ],
];
for (const [what, spoil, why] of refused) {
  test(`a first pack that ${what} is refused`, async () => {
    await assert.rejects(runSeal(await spoil(await job())), { code: "data/damaged", message: why });
  });
}
