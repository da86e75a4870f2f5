import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { PackPool } from "../../src/pack/pool.ts";
import { ChunkLedger } from "../../src/restore/chunk-ledger.ts";
import { PackReader } from "../../src/restore/pack-reader.ts";
import { ScratchFile } from "../../src/restore/scratch-file.ts";
import type { ChunkRef } from "../../src/snapshot/entry.ts";
import { fixedBytes } from "../support/fixed-bytes.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { POLICY, TinyRepository } from "../support/tiny-repository.ts";

test("chunks that are needed long after the rest of their pack wait in a scratch file without a name", async () => {
  const tiny = await TinyRepository.create();
  const pairs: ChunkRef[][] = [];
  for (let pack = 0; pack < 8; pack++)
    pairs.push(await tiny.pack(fixedBytes(`early ${pack}`, 50_000), fixedBytes(`late ${pack}`, 60_000)));
  const ledger = new ChunkLedger();
  const early = pairs.map(([first]) => ledger.need(first as ChunkRef));
  const late = pairs.map(([, second]) => ledger.need(second as ChunkRef));
  const again = pairs.map(([, second]) => ledger.need(second as ChunkRef));
  await using scratch = await scratchDirectory();
  await using pool = new PackPool(1);
  await using reader = new PackReader({
    store: tiny.store,
    policyName: POLICY,
    identities: [tiny.identity],
    pool,
    packs: tiny.packs,
    ledger,
    order: pairs.map(([first]) => first?.pack ?? 0),
    openScratch: () => ScratchFile.create(join(scratch.path, "spilled")),
    lostWith: () => "",
    signal: new AbortController().signal,
  });
  const check = async (chunk: number, expected: Buffer) => {
    assert.deepEqual(Buffer.from(await reader.read(chunk)), expected);
    reader.release(chunk);
  };
  for (const [pack, chunk] of early.entries()) await check(chunk, fixedBytes(`early ${pack}`, 50_000));
  assert.deepEqual(await readdir(scratch.path), []);
  assert.equal(reader.spilledBytes, 6 * 60_000); // two packs are still open
  for (const [pack, chunk] of late.entries()) await check(chunk, fixedBytes(`late ${pack}`, 60_000));
  for (const [pack, chunk] of again.entries()) await check(chunk, fixedBytes(`late ${pack}`, 60_000));
  assert.equal(reader.packsRead, 8);
});
