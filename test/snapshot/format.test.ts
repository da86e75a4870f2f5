/** Format 1 is frozen: what it once wrote is read for ever, and what is written today has the same bytes. */

import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { lstat, readFile, readlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { zstdDecompressSync } from "node:zlib";
import { isFailure } from "../../src/lib/errors.ts";
import { runOpen } from "../../src/pack/jobs.ts";
import { PACK_BUFFER_SIZE, PackBuffer, TAR_AT } from "../../src/pack/pack-buffer.ts";
import { PackTable } from "../../src/pack/pack-table.ts";
import { open } from "../../src/seal/age-stream.ts";
import { REPOSITORY_NAMESPACE, SNAPSHOT_NAMESPACE, signerFromText } from "../../src/seal/sshsig.ts";
import { encodeDocument, parseCanonical } from "../../src/snapshot/canonical-json.ts";
import { readCatalog } from "../../src/snapshot/catalog.ts";
import type { ManifestEntry } from "../../src/snapshot/entry.ts";
import { encodeList } from "../../src/snapshot/list.ts";
import { openManifest } from "../../src/snapshot/manifest-reader.ts";
import { ManifestWriter } from "../../src/snapshot/manifest-writer.ts";
import { encodeRecord } from "../../src/snapshot/record.ts";
import { readRepository, requireUnderstood } from "../../src/snapshot/repository.ts";
import { openSourceManifest } from "../../src/snapshot/source-manifest.ts";
import { openDirectoryStore } from "../../src/store/directory.ts";
import { listKey, manifestKey, packKey } from "../../src/store/keys.ts";
import { trustOf } from "../../src/trust/trust.ts";
import {
  CHUNKS,
  DIRECTORY,
  ENTRIES,
  HEAD,
  IDENTITY,
  LIST,
  MANIFEST,
  PACKS,
  POLICY,
  RECORD,
  RECORD_KEY,
  REPOSITORY,
  SIGNER,
  SIGNING_KEY,
} from "../support/golden-repository.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { slotOf } from "../support/slot-of.ts";
import { StandardTools } from "../support/standard-tools.ts";

const HOW = { signal: new AbortController().signal };
const TRUST = trustOf(undefined, { signers: [SIGNER] });
const golden = (key: string) => readFile(join(DIRECTORY, key));

test("reading: description, record, manifest and packs are what they were", async () => {
  await using store = await openDirectoryStore(DIRECTORY);
  const repository = await readRepository(store, TRUST, HOW);
  assert.deepEqual(repository, REPOSITORY);
  requireUnderstood(repository);

  const { snapshots, unreadable } = await readCatalog(store, repository, POLICY, TRUST, HOW);
  assert.deepEqual(unreadable, []);
  assert.deepEqual(
    snapshots.map(({ record, key, signer, sha256 }) => ({ record, key, signer, sha256 })),
    [
      {
        record: RECORD,
        key: RECORD_KEY,
        signer: SIGNER,
        sha256: hash("sha256", await golden(RECORD_KEY), "hex"),
      },
    ],
  );

  const packs = new PackTable();
  const [source] = RECORD.sources;
  assert.ok(source);
  const manifest = await openSourceManifest(store, POLICY, source, { identities: [IDENTITY], packs }, HOW);
  assert.deepEqual(manifest.head, HEAD);
  const entries: ManifestEntry[] = [];
  for await (const entry of manifest.entries) entries.push(entry);
  assert.deepEqual(entries.map(withoutUndefined), ENTRIES.map(withoutUndefined));
  assert.deepEqual([packs.get(0), packs.get(1), packs.length], [...PACKS, 2]);
});

for (const [number, { sha256, size }] of PACKS.entries()) {
  test(`pack ${number}: read to the byte, and its tar is written the same`, async () => {
    const sealed = await golden(packKey(POLICY, sha256));
    assert.equal(sealed.length, size);
    const { tar, chunks } = await runOpen({
      kind: "open",
      ...slotOf(sealed),
      sha256,
      identities: [IDENTITY],
    });
    assert.deepEqual(
      chunks.map(({ offset, size: length }) => Buffer.from(tar.subarray(offset, offset + length))),
      CHUNKS[number],
    );
    const buffer = new PackBuffer(new ArrayBuffer(PACK_BUFFER_SIZE));
    for (const chunk of CHUNKS[number] ?? []) {
      buffer.append(chunk);
      buffer.keepChunk(buffer.chunkId());
    }
    const used = buffer.finish();
    assert.deepEqual(Buffer.from(buffer.memory, TAR_AT, used), Buffer.from(tar));
  });
}

const signer = signerFromText(SIGNING_KEY, "the golden key");
const written: readonly { what: string; key: string; bytes: () => Uint8Array }[] = [
  { what: "the description", key: "repository.json", bytes: () => encodeDocument(REPOSITORY) },
  {
    what: "its signature",
    key: "repository.json.sig",
    bytes: () => signer.sign(REPOSITORY_NAMESPACE, encodeDocument(REPOSITORY)),
  },
  { what: "the record", key: RECORD_KEY, bytes: () => encodeRecord(RECORD) },
  {
    what: "its signature",
    key: `${RECORD_KEY}.sig`,
    bytes: () => signer.sign(SNAPSHOT_NAMESPACE, encodeRecord(RECORD)),
  },
  { what: "the list", key: listKey(POLICY, LIST.sha256), bytes: () => encodeList(PACKS) },
];
for (const { what, key, bytes } of written) {
  test(`writing: ${what} (${key.slice(0, 30)}) has the same bytes`, async () => {
    assert.deepEqual(Buffer.from(bytes()).toString(), (await golden(key)).toString());
  });
}

test("writing: the manifest's plaintext has the same bytes", async () => {
  const writer = new ManifestWriter();
  for (const entry of ENTRIES) writer.add(entry);
  const frozen = zstdDecompressSync(
    await open([IDENTITY], await golden(manifestKey(POLICY, MANIFEST.sha256))),
  );
  assert.equal(zstdDecompressSync(await writer.compressed(HEAD)).toString(), frozen.toString());
});

test("a document that is nested beyond measure is damaged, like any other that is none", () => {
  const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;
  for (const indent of [0, 2] as const)
    assert.throws(
      () => parseCanonical(deep, indent, "a document"),
      (error) => isFailure(error, "data/damaged"),
    );
});

test("a line of a manifest is read whole, in however many pieces it comes out of its frame", async () => {
  const chunks = Array.from({ length: 20_000 }, (_, at) => {
    return { pack: 0, id: hash("sha256", String(at), "hex"), size: 1 };
  });
  const large = { ...(ENTRIES[1] as ManifestEntry), size: chunks.length, chunks };
  const writer = new ManifestWriter();
  for (const entry of [large, ...ENTRIES.slice(2)]) writer.add(entry);
  const read: ManifestEntry[] = [];
  for await (const entry of (await openManifest(await writer.compressed(HEAD), (at) => at, "m", HOW)).entries)
    read.push(entry);
  assert.deepEqual(read.map(withoutUndefined), [large, ...ENTRIES.slice(2)].map(withoutUndefined));
});

test("recover.sh restores it", async () => {
  await using scratch = await scratchDirectory();
  const tools = await StandardTools.gather(scratch.path);
  const identity = join(scratch.path, "identity");
  await writeFile(identity, `${IDENTITY}\n`);
  const script = new URL("../../src/backup/recover.sh", import.meta.url).pathname;
  const out = join(scratch.path, "out");
  const argv = ["bash", script, DIRECTORY, POLICY, "2026-11-23", identity, SIGNER, out];
  const { exit, stderr } = await tools.run(argv, { cwd: scratch.path });
  assert.equal(exit, 0, stderr);
  for (const { path, type, mtime, chunks, target, size } of ENTRIES) {
    const at = Buffer.concat([Buffer.from(`${out}/files/`), path]);
    const stat = await lstat(at, { bigint: true });
    if (type !== "hardlink") assert.equal(stat.mtimeNs, mtime);
    if (type === "symlink") assert.deepEqual(await readlink(at, "buffer"), target);
    if (type !== "file") continue;
    const content = Buffer.concat(chunks.map(({ pack, id }) => chunkOf(pack, id)));
    assert.deepEqual(await readFile(at), content);
    assert.equal(content.length, size);
  }
});

function chunkOf(pack: number, id: string): Buffer {
  const found = CHUNKS[pack]?.find((chunk) => hash("sha256", chunk, "hex") === id);
  assert.ok(found);
  return found;
}

function withoutUndefined(entry: ManifestEntry): object {
  return Object.fromEntries(Object.entries(entry).filter(([, value]) => value !== undefined));
}
