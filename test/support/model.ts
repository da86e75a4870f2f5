import { hash } from "node:crypto";
import { checkListed, commitRecord, listPacks, listStored } from "../../src/backup/commit.ts";
import { DropsError, isFailure } from "../../src/lib/errors.ts";
import type { Signer } from "../../src/seal/sshsig.ts";
import { readCatalog } from "../../src/snapshot/catalog.ts";
import { readCondemned } from "../../src/snapshot/condemned.ts";
import { decodeList, encodeList } from "../../src/snapshot/list.ts";
import type { SnapshotRecord } from "../../src/snapshot/record.ts";
import type { Repository } from "../../src/snapshot/repository.ts";
import type { BlobStore } from "../../src/store/blob-store.ts";
import { listKey, manifestKey, packKey } from "../../src/store/keys.ts";
import { trustOf } from "../../src/trust/trust.ts";

export const POLICY = "model";
const HOW = { signal: new AbortController().signal };

export interface ModelParts {
  readonly store: BlobStore;
  readonly repository: Repository;
  readonly signer: Signer;
  readonly now: () => Date;
  readonly random: () => number;
  /** What is put after that is refused: a store does not take a request that was signed long ago. */
  readonly expireAt: (at: Date) => void;
  /** What would go wrong without: take marks at their word; default: yes. */
  readonly heeds?: boolean;
}

/**
 * A backup's store calls in their order, without the data: it knows the packs of the newest snapshot, refers to some of
 * them again, puts some new ones, and commits with the checks of the real one.
 *
 * @returns the record's id
 * @throws DropsError data/missing when an object is condemned or gone at the commit
 */
export async function modelBackup(parts: ModelParts): Promise<string> {
  const { store, repository, signer, now, random } = parts;
  const trust = trustOf(undefined, { signers: [signer.publicKey] });
  const { snapshots } = await readCatalog(store, repository, POLICY, trust, HOW);
  const listed = await listPacks(store, POLICY, HOW);
  const marks = async () => (parts.heeds === false ? new Set<string>() : readCondemned(store, POLICY, HOW));
  const condemned = await marks();
  const base = snapshots.at(-1)?.record.sources[0]?.list?.sha256;
  const known = base === undefined ? [] : await packsOf(store, base);
  const reused = known.filter(({ sha256, size }) => {
    return listed.get(sha256) === size && !condemned.has(sha256) && random() < 0.6;
  });
  const packs = [...reused];
  for (let more = 1 + Math.floor(random() * 2); more > 0; more--) {
    const bytes = Buffer.from(`pack ${random()}`);
    packs.push(described(bytes));
    await store.put(packKey(POLICY, described(bytes).sha256), bytes, HOW);
  }
  const list = encodeList(packs);
  const manifest = Buffer.from(`manifest ${random()}`);
  await store.put(listKey(POLICY, described(list).sha256), list, HOW);
  await store.put(manifestKey(POLICY, described(manifest).sha256), manifest, HOW);
  const began = now().getTime();
  const gone = await marks();
  checkListed([...packs, described(list), described(manifest)], await listStored(store, POLICY, HOW), gone);
  const within = repository.constants.commit_within * 1000;
  const ended = now().toISOString();
  const record: SnapshotRecord = {
    drops: "snapshot",
    format: 1,
    repository: repository.id,
    policy: POLICY,
    id: hash("sha256", `${random()}`, "hex").slice(0, 16),
    sequence: snapshots.length + 1,
    state: "complete",
    started: ended,
    ended,
    tool: "model",
    host: {},
    skew_ms: 0,
    stored_bytes: 0,
    seen: [],
    sources: [
      {
        name: "db",
        kind: "files",
        outcome: "stored",
        notes: [],
        list: described(list),
        manifest: described(manifest),
      },
    ],
  };
  parts.expireAt(new Date(began + within));
  await commitRecord(store, record, signer, HOW);
  return record.id;
}

/** Read everything that the newest snapshot needs. Answers which one that was, and what was not there. */
export async function modelRestore({
  store,
  repository,
  signer,
}: ModelParts): Promise<{ readonly id: string; readonly missing: readonly string[] }> {
  const trust = trustOf(undefined, { signers: [signer.publicKey] });
  const { snapshots } = await readCatalog(store, repository, POLICY, trust, HOW);
  const newest = snapshots.at(-1)?.record;
  return newest ? { id: newest.id, missing: await missingOf(store, newest) } : { id: "", missing: [] };
}

/** Keys that a record needs and that are not there. */
export async function missingOf(store: BlobStore, record: SnapshotRecord): Promise<string[]> {
  const missing: string[] = [];
  const need = async (key: string) => {
    const bytes = await store.get(key, { ...HOW, maxSize: 100_000 }).catch((error: unknown) => {
      if (isFailure(error, "store/missing")) return undefined;
      throw error;
    });
    if (!bytes) missing.push(key);
    return bytes;
  };
  for (const { list, manifest } of record.sources) {
    if (manifest) await need(manifestKey(POLICY, manifest.sha256));
    const bytes = list && (await need(listKey(POLICY, list.sha256)));
    if (bytes) for (const { sha256 } of decodeList(bytes, "list")) await need(packKey(POLICY, sha256));
  }
  return missing;
}

async function packsOf(store: BlobStore, list: string): Promise<{ sha256: string; size: number }[]> {
  return decodeList(await store.get(listKey(POLICY, list), { ...HOW, maxSize: 100_000 }), list);
}

/** Thrown where a process was killed. */
export function crash(): DropsError {
  return new DropsError("interrupted", "killed");
}

function described(bytes: Uint8Array): { sha256: string; size: number } {
  return { sha256: hash("sha256", bytes, "hex"), size: bytes.length };
}
