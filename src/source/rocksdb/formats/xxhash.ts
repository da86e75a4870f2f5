import type { IHasher } from "hash-wasm";

type Hash = (bytes: Uint8Array) => number;

/** The non-cryptographic hashes that RocksDB puts behind blocks, seed 0: of each the low 32 bits. */
export interface XxHashes {
  readonly xxh32: Hash;
  readonly xxh64: Hash;
  readonly xxh3: Hash;
}

let loaded: Promise<XxHashes> | undefined;

/** Loaded when a first table is read, which takes 20 ms: most commands read none. */
export function xxHashes(): Promise<XxHashes> {
  loaded ??= load();
  return loaded;
}

async function load(): Promise<XxHashes> {
  const { createXXHash3, createXXHash32, createXXHash64 } = await import("hash-wasm");
  const [xxh32, xxh64, xxh3] = await Promise.all([createXXHash32(), createXXHash64(), createXXHash3()]);
  return { xxh32: lowOf(xxh32), xxh64: lowOf(xxh64), xxh3: lowOf(xxh3) };
}

function lowOf(hasher: IHasher): Hash {
  return (bytes) => {
    const digest = Buffer.from(hasher.init().update(bytes).digest("binary"));
    return digest.readUInt32BE(digest.length - 4);
  };
}
