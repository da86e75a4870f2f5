import { hash } from "node:crypto";
import type { PackInfo } from "../../src/pack/pack-table.ts";
import type { ChunkRef, ManifestEntry } from "../../src/snapshot/entry.ts";
import type { ManifestHead } from "../../src/snapshot/manifest-head.ts";
import type { SnapshotRecord } from "../../src/snapshot/record.ts";
import type { Repository } from "../../src/snapshot/repository.ts";

/**
 * What test/golden/format/ holds: a whole small repository as format 1 wrote it. Its keys open nothing else. The files are
 * never written again; a later format gets a repository of its own beside this one.
 */
export const DIRECTORY: string = new URL("../golden/format/", import.meta.url).pathname;
export const POLICY = "golden";
export const IDENTITY = "AGE-SECRET-KEY-1MC0KHAXNYAWXL6J82KQNJ45AKJ9ZE876ZM4EVQDRAMLWF9XUDL0QUDV69J";
export const SIGNING_KEY = `-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW
QyNTUxOQAAACDmLUEnmadFNFRuNcfImIccOybYwTxkAoCMfrguqOc90AAAAJBzwTmqc8E5
qgAAAAtzc2gtZWQyNTUxOQAAACDmLUEnmadFNFRuNcfImIccOybYwTxkAoCMfrguqOc90A
AAAEAKQCmEDi5UGjzWZvGG0pWjyoEODq42rjuK/5f73GBwBeYtQSeZp0U0VG41x8iYhxw7
JtjBPGQCgIx+uC6o5z3QAAAABmdvbGRlbgECAwQFBgc=
-----END OPENSSH PRIVATE KEY-----
`;
export const SIGNER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOYtQSeZp0U0VG41x8iYhxw7JtjBPGQCgIx+uC6o5z3Q";

/** In the order of their packs. */
export const CHUNKS: readonly (readonly Buffer[])[] = [
  [Buffer.from("the first chunk\n"), Buffer.alloc(1000, "zeros do not pad to 512 ")],
  [Buffer.from([0x00, 0xff, 0x0a])],
];
export const PACKS: readonly PackInfo[] = [
  { sha256: "467d6087378685ba4faf8dab80708b205a2c3e918c4edec657d38a05b1ed98b2", size: 403 },
  { sha256: "a6b72cfc399a8bdebd14f16c58b1318fd51e450f310e307a851a01d7c1e84789", size: 319 },
];
export const MANIFEST: PackInfo = {
  sha256: "6348cbd33bb2fbeca536e764a5127cc76e11632ec57f460a165b50f3ae2a41ac",
  size: 1129,
};
export const LIST: PackInfo = {
  sha256: "9e0ed85081219b7313127502227ac739b8042a0123957356d1db7c93f4dd1d78",
  size: 393,
};

export const REPOSITORY: Repository = {
  drops: "repository",
  format: 1,
  id: "00112233445566778899aabbccddeeff",
  created: "2026-11-20T12:00:00.000Z",
  requires: [],
  chunker: { algorithm: "fastcdc-gear32-v1", min: 262_144, average: 1_048_576, max: 4_194_304 },
  constants: {
    max_clock_skew: 900,
    condemn_after: 172_800,
    delete_after: 86_400,
    commit_within: 3600,
    min_pack_use: 30,
  },
};

export const HEAD: ManifestHead = {
  drops: "manifest",
  format: 1,
  repository: REPOSITORY.id,
  policy: POLICY,
  source: "files",
  kind: "files",
  captured_at: "2026-11-23T02:30:00.000Z",
  policy_text: "name: golden\n# naïve ☃\n",
  trusted_signers: [SIGNER],
  facts: { paths: ["/srv"], largest: "18446744073709551615", nested: { empty: [] } },
};

const OWNER = { uid: 0, gid: 0, user: "root", group: "root" };
const TIME = 1_795_401_000_123_456_789n;

/** One of everything that an entry can be; `pack` counts as PACKS does. */
export const ENTRIES: readonly ManifestEntry[] = [
  { path: Buffer.from("srv"), type: "dir", mode: 0o755, ...OWNER, mtime: TIME, size: 0, chunks: [] },
  file("srv/empty", []),
  { path: Buffer.from("srv/fifo"), type: "fifo", mode: 0o600, ...OWNER, mtime: TIME, size: 0, chunks: [] },
  {
    ...file("srv/file", [chunk(0, 0), chunk(0, 1), chunk(0, 0)]),
    mode: 0o4750,
    same: "2049:131073:1795401000.123456789",
    xattrs: { "user.binary": Buffer.from([0, 255]), "user.empty": Buffer.alloc(0) },
  },
  {
    path: Buffer.from("srv/hard link"),
    type: "hardlink",
    mode: 0o4750,
    ...OWNER,
    mtime: TIME,
    size: 0,
    target: Buffer.from("srv/file"),
    chunks: [],
  },
  {
    ...file('srv/line\nbreak "quoted" \\ ☃', [chunk(1, 0)]),
    uid: 4_294_967_294,
    user: undefined,
    group: undefined,
  },
  { ...file("srv/old", [chunk(1, 0)]), mtime: -1n, sparse: true },
  {
    path: Buffer.from("srv/symlink"),
    type: "symlink",
    mode: 0o777,
    ...OWNER,
    mtime: 0n,
    size: 0,
    target: Buffer.from([0x2e, 0x2e, 0x2f, 0xff]),
    chunks: [],
  },
  file(Buffer.from([0x73, 0x72, 0x76, 0x2f, 0xff, 0x0a]), []),
];

export const RECORD: SnapshotRecord = {
  drops: "snapshot",
  format: 1,
  repository: REPOSITORY.id,
  policy: POLICY,
  id: "0123456789abcdef",
  sequence: 7,
  state: "complete",
  started: "2026-11-23T02:30:00.000Z",
  ended: "2026-11-23T02:30:01.234Z",
  tool: "drops 0.1.0",
  host: { hostname: "golden", system: "naïve ☃" },
  skew_ms: 12,
  stored_bytes: 345,
  seen: [{ id: "fedcba9876543210", sha256: hash("sha256", "an earlier record", "hex") }],
  sources: [
    {
      name: "files",
      kind: "files",
      outcome: "stored",
      captured_at: "2026-11-23T02:30:00.000Z",
      files: ENTRIES.length,
      bytes: ENTRIES.reduce((sum, { type, size }) => sum + (type === "file" ? size : 0), 0),
      read_bytes: 1038,
      manifest: MANIFEST,
      list: LIST,
      recipients: hash("sha256", "a recipient set", "hex"),
      notes: ["a socket was passed over"],
    },
  ],
};
export const RECORD_KEY = `${POLICY}/snapshots/20261123T023001Z-0123456789abcdef.json`;

function chunk(pack: number, index: number): ChunkRef {
  const bytes = CHUNKS[pack]?.[index] ?? Buffer.alloc(0);
  return { pack, id: hash("sha256", bytes, "hex"), size: bytes.length };
}

function file(path: string | Buffer, chunks: readonly ChunkRef[]): ManifestEntry {
  const size = chunks.reduce((sum, each) => sum + each.size, 0);
  return { path: Buffer.from(path), type: "file", mode: 0o644, ...OWNER, mtime: TIME, size, chunks };
}
