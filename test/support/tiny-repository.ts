import { hash, randomBytes } from "node:crypto";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { commitRecord, storeSource } from "../../src/backup/commit.ts";
import { runSeal } from "../../src/pack/jobs.ts";
import { PACK_BUFFER_SIZE, PackBuffer, TAR_AT } from "../../src/pack/pack-buffer.ts";
import { PackTable } from "../../src/pack/pack-table.ts";
import { newSealKey } from "../../src/seal/age-stream.ts";
import { newSigningKey } from "../../src/seal/keygen.ts";
import { type Signer, signerFromText } from "../../src/seal/sshsig.ts";
import type { ChunkRef, ManifestEntry } from "../../src/snapshot/entry.ts";
import { ManifestWriter } from "../../src/snapshot/manifest-writer.ts";
import type { SnapshotRecord, SourceRecord } from "../../src/snapshot/record.ts";
import { newRepository, writeRepository } from "../../src/snapshot/repository.ts";
import type { BlobStore } from "../../src/store/blob-store.ts";
import { packKey } from "../../src/store/keys.ts";
import { trustOf } from "../../src/trust/trust.ts";
import { openMemoryStore } from "./memory-store.ts";

const HOW = { signal: new AbortController().signal };
export const POLICY = "tiny";

/** An entry in the words that matter to a test; the rest has defaults. */
export type TinyEntry = Partial<Omit<ManifestEntry, "path" | "target">> & {
  readonly path: string | Buffer;
  readonly target?: string | Buffer;
};

export interface TinySource {
  readonly name: string;
  readonly kind?: SourceRecord["kind"];
  /** In any order: sorted by path bytes. */
  readonly entries: readonly TinyEntry[];
  /** What the manifest says of itself, when it is to lie. */
  readonly head?: {
    readonly source?: string;
    readonly policy?: string;
    readonly repository?: string;
    readonly policy_text?: string;
  };
  readonly facts?: Readonly<Record<string, unknown>>;
}

/** A repository made piece by piece, without the backup verb, so that every piece can be made wrongly. */
export class TinyRepository {
  readonly store: BlobStore;
  readonly signer: Signer = signerFromText(newSigningKey("test").privateKey, "the test's signing key");
  readonly packs = new PackTable();
  readonly id = randomBytes(16).toString("hex");
  identity = "";
  recipient = "";
  #sequence = 0;
  /** Of its own store: a record lands there when it says that it ended. */
  readonly #clock: { now?: Date };

  private constructor(store: BlobStore, clock: { now?: Date }) {
    this.store = store;
    this.#clock = clock;
  }

  static async create(given?: BlobStore): Promise<TinyRepository> {
    const clock: { now?: Date } = {};
    const store = given ?? openMemoryStore(() => clock.now ?? new Date());
    const tiny = new TinyRepository(store, clock);
    tiny.identity = await generateX25519Identity();
    tiny.recipient = await identityToRecipient(tiny.identity);
    await writeRepository(store, newRepository(tiny.id, new Date("2026-01-01T00:00:00Z")), tiny.signer, HOW);
    return tiny;
  }

  get trust() {
    return trustOf(undefined, { signers: [this.signer.publicKey] });
  }

  /** Put a pack of these chunks; answers references to them. */
  pack(...chunks: readonly Uint8Array[]): Promise<ChunkRef[]> {
    return this.alteredPack(() => {}, ...chunks);
  }

  /** The same, with a tar that is no more what it was. */
  async alteredPack(alter: (tar: Buffer) => void, ...chunks: readonly Uint8Array[]): Promise<ChunkRef[]> {
    const buffer = new PackBuffer(new ArrayBuffer(PACK_BUFFER_SIZE));
    for (const chunk of chunks) {
      buffer.append(chunk);
      buffer.keepChunk(hash("sha256", chunk, "hex"));
    }
    const key = await newSealKey([this.recipient]);
    const used = buffer.finish();
    alter(Buffer.from(buffer.memory, TAR_AT, used));
    const job = { kind: "seal", memory: buffer.memory, used, key, level: 1 } as const;
    const { memory, size, sha256 } = await runSeal(job);
    await this.store.put(packKey(POLICY, sha256), new Uint8Array(memory, 0, size), HOW);
    const pack = this.packs.intern({ sha256, size });
    return chunks.map((chunk) => ({ pack, id: hash("sha256", chunk, "hex"), size: chunk.length }));
  }

  /** The stored name of a pack. */
  packName({ pack }: ChunkRef): string {
    return this.packs.get(pack)?.sha256 ?? "";
  }

  /** Put a source's list and manifest; answers its part of a record. */
  async source(source: TinySource): Promise<SourceRecord> {
    const writer = new ManifestWriter();
    const entries = source.entries.map(wholeEntry).sort((a, b) => Buffer.compare(a.path, b.path));
    for (const entry of entries) writer.add(entry);
    const kind = source.kind ?? "files";
    const at = new Date("2026-11-20T01:30:00Z").toISOString();
    const head = {
      drops: "manifest" as const,
      format: 1 as const,
      repository: this.id,
      policy: POLICY,
      source: source.name,
      kind,
      captured_at: at,
      policy_text: "",
      trusted_signers: [this.signer.publicKey],
      facts: source.facts ?? {},
      ...source.head,
    };
    const what = { writer, head, packs: this.packs, recipients: [this.recipient] };
    const { manifest, list } = await storeSource(this.store, POLICY, what, HOW);
    const { entries: files, bytes } = writer;
    return {
      name: source.name,
      kind,
      outcome: "stored",
      captured_at: at,
      files,
      bytes,
      manifest,
      list,
      notes: [],
    };
  }

  /** Sign and put a record of these sources. */
  async commit(
    sources: readonly SourceRecord[],
    change: Partial<SnapshotRecord> & { readonly signer?: Signer } = {},
  ): Promise<{ record: SnapshotRecord; key: string }> {
    const { signer = this.signer, ...fields } = change;
    const record: SnapshotRecord = {
      drops: "snapshot",
      format: 1,
      repository: this.id,
      policy: POLICY,
      id: randomBytes(8).toString("hex"),
      sequence: ++this.#sequence,
      state: "complete",
      started: "2026-11-20T01:30:00.000Z",
      ended: "2026-11-20T01:32:00.000Z",
      tool: "drops test",
      host: {},
      skew_ms: 0,
      stored_bytes: 0,
      seen: [],
      sources: [...sources],
      ...fields,
    };
    this.#clock.now = new Date(record.ended);
    const key = await commitRecord(this.store, record, signer, HOW);
    delete this.#clock.now;
    return { record, key };
  }

  /** One source, one snapshot. */
  async snapshot(source: TinySource): Promise<{ record: SnapshotRecord; key: string }> {
    return this.commit([await this.source(source)]);
  }

  /** Put other bytes where an object is. */
  async replace(key: string, bytes: Uint8Array): Promise<void> {
    await this.store.remove(key, HOW);
    await this.store.put(key, bytes, HOW);
  }

  get(key: string): Promise<Uint8Array> {
    return this.store.get(key, { ...HOW, maxSize: 2 ** 30 });
  }
}

/** Everything that a restore, an export or a verify is given. */
export function readPartsOf(tiny: TinyRepository) {
  return {
    store: tiny.store,
    policyName: undefined,
    trust: tiny.trust,
    identities: [tiny.identity],
    zone: "Europe/Berlin",
    now: () => new Date("2026-11-23T12:00:00Z"),
    say: (_line: string) => {},
  };
}

function wholeEntry(entry: TinyEntry): ManifestEntry {
  const { path, target, chunks = [], ...rest } = entry;
  return {
    type: "file",
    mode: rest.type === "dir" ? 0o755 : 0o644,
    uid: 0,
    gid: 0,
    mtime: 1_700_000_000_123_456_789n,
    size: chunks.reduce((sum, { size }) => sum + size, 0),
    ...rest,
    chunks,
    path: Buffer.from(path as string),
    target: target === undefined ? undefined : Buffer.from(target as string),
  };
}
