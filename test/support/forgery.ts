import { hash, randomBytes } from "node:crypto";
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { commitRecord } from "../../src/backup/commit.ts";
import { open, seal } from "../../src/seal/age-stream.ts";
import type { Signer } from "../../src/seal/sshsig.ts";
import { encodeList } from "../../src/snapshot/list.ts";
import type { SnapshotRecord } from "../../src/snapshot/record.ts";
import { listKey, manifestKey, packKey } from "../../src/store/keys.ts";
import type { Rehearsal } from "./rehearsal.ts";

const HOW = { signal: new AbortController().signal };

export interface Forgery {
  /** Whose part of the record is replaced. */
  readonly source: string;
  /** The manifest's entry lines, as any JSON. */
  readonly entries: readonly unknown[];
  /** Tars to pack, whatever is in them. */
  readonly packs?: readonly Uint8Array[];
  /** Changes to the manifest's head and end. */
  readonly head?: Readonly<Record<string, unknown>>;
  readonly end?: Readonly<Record<string, unknown>>;
  /** Changes to the list's text. */
  readonly list?: (text: string) => string;
  readonly signer?: Signer;
}

/**
 * A snapshot like `base` of a writer who means harm but holds every key: its objects have the right names, its record a
 * valid signature.
 */
export async function forgeSnapshot(
  rehearsal: Rehearsal,
  base: SnapshotRecord,
  forgery: Forgery,
): Promise<{ record: SnapshotRecord; key: string }> {
  const { store, signer } = rehearsal;
  const original = base.sources.find(({ name }) => name === forgery.source);
  const packs = [];
  for (const tar of forgery.packs ?? []) {
    const sealed = await seal([rehearsal.recovery.recipient], zstdCompressSync(tar));
    const pack = { sha256: hash("sha256", sealed, "hex"), size: sealed.length };
    await store.put(packKey(base.policy, pack.sha256), sealed, HOW);
    packs.push(pack);
  }
  const text = encodeList(packs).toString();
  const list = Buffer.from(forgery.list?.(text) ?? text);
  const head = await manifestHead(rehearsal, base.policy, original?.manifest?.sha256 ?? "");
  const plain = manifestText({ ...head, ...forgery.head }, forgery.entries, forgery.end);
  const recipients = [rehearsal.recovery.recipient, rehearsal.metadata.recipient];
  const manifest = await seal(recipients, zstdCompressSync(plain));
  const stored = { list: described(list), manifest: described(manifest) };
  await putAnyway(rehearsal, listKey(base.policy, stored.list.sha256), list);
  await putAnyway(rehearsal, manifestKey(base.policy, stored.manifest.sha256), manifest);
  const record: SnapshotRecord = {
    ...base,
    id: randomBytes(8).toString("hex"),
    sequence: base.sequence + 1,
    sources: base.sources.map((source) => (source === original ? { ...source, ...stored } : source)),
  };
  return { record, key: await commitRecord(store, record, forgery.signer ?? signer, HOW) };
}

/** What a manifest says, decrypted: a JSON value per line. */
export async function manifestLines(
  rehearsal: Rehearsal,
  policy: string,
  sha256: string,
): Promise<unknown[]> {
  const sealed = await rehearsal.store.get(manifestKey(policy, sha256), { ...HOW, maxSize: 2 ** 30 });
  const plain = zstdDecompressSync(await open([rehearsal.recovery.identity], sealed)).toString();
  return plain
    .trimEnd()
    .split("\n")
    .map((line): unknown => JSON.parse(line));
}

async function manifestHead(rehearsal: Rehearsal, policy: string, sha256: string): Promise<object> {
  const [head] = await manifestLines(rehearsal, policy, sha256);
  return head as object;
}

function manifestText(head: object, entries: readonly unknown[], end: object = {}): string {
  const lines = entries.map((entry) => `${JSON.stringify(entry)}\n`).join("");
  const last = { end: true, entries: entries.length, sha256: hash("sha256", lines, "hex"), ...end };
  return `${JSON.stringify(head)}\n${lines}${JSON.stringify(last)}\n`;
}

async function putAnyway({ store }: Rehearsal, key: string, bytes: Uint8Array): Promise<void> {
  for await (const blob of store.list(key, HOW)) if (blob.key === key) return;
  await store.put(key, bytes, HOW);
}

function described(bytes: Uint8Array): { sha256: string; size: number } {
  return { sha256: hash("sha256", bytes, "hex"), size: bytes.length };
}
