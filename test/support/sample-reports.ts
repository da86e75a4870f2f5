import type { BackupReport, InitReport } from "../../src/backup/report.ts";
import type { DrillReport } from "../../src/drill/report.ts";
import type { NotifyFailedReport, NotifyTestReport } from "../../src/notify/report.ts";
import type { RunbookReport, SheetReport } from "../../src/paper/report.ts";
import type {
  EntryListing,
  ExportReport,
  LsEntry,
  RestoreReport,
  ShowReport,
  SnapshotLine,
  SnapshotsReport,
} from "../../src/restore/report.ts";
import type { KeygenReport } from "../../src/seal/report.ts";
import type { SetupReport } from "../../src/setup/report.ts";
import type { KeysReport } from "../../src/verify/keys-report.ts";
import type { VerifyReport } from "../../src/verify/report.ts";

// One report of every command, as if from one small server, with something awkward in each.
const HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
const ID = "5f1e0c3ab2d49788";
const snapshot = {
  id: ID,
  state: "partial",
  started: "2026-11-20T01:30:00.000Z",
  ended: "2026-11-20T01:32:05.000Z",
} as const;
const place = { policy: "ops", store: "/srv/backups", zone: "Europe/Berlin" } as const;

export const init: InitReport = {
  store: "s3://bucket/drops",
  repositoryId: "c0ffee",
  policy: "ops",
  created: snapshot.started,
  recoveryObjects: [`recovery/${HASH}.sh`, "recovery/README.md", "recovery/RECOVERY.md"],
};

export const keygen: KeygenReport = {
  directory: "/etc/drops/keys",
  files: [
    { role: "recovery-identity", path: "/etc/drops/keys/recovery-identity.txt", secret: true },
    { role: "recovery-recipients", path: "/etc/drops/keys/recovery-recipients.txt", secret: false },
    { role: "metadata-identity", path: "/etc/drops/keys/metadata-identity.txt", secret: true },
    { role: "signing-key", path: "/etc/drops/keys/signing-key", secret: true },
    { role: "signer", path: "/etc/drops/keys/signing-key.pub", secret: false },
  ],
  recoveryRecipient: "age1recovery",
  metadataRecipient: "age1metadata",
  signer: "ssh-ed25519 AAAA drops",
};

export const keys: KeysReport = {
  ...place,
  named: [
    { role: "recovery-recipient", key: "age1recovery", file: "/etc/drops/keys/recovery-recipients.txt" },
    { role: "metadata-recipient", file: "/etc/drops/keys/metadata-identity.txt" },
    {
      role: "signing-key",
      key: "ssh-ed25519 AAAA",
      fingerprint: "SHA256:abc",
      file: "/etc/drops/keys/signing-key",
    },
    { role: "trusted-signer", key: "ssh-ed25519 BBBB old", fingerprint: "SHA256:old" },
    {
      role: "revoked-signer",
      key: "ssh-ed25519 CCCC",
      fingerprint: "SHA256:lost",
      before: "2026-11-01T00:00:00.000Z",
    },
  ],
  sealedTo: [
    {
      recipients: HASH,
      current: true,
      ...{ snapshots: 3, sources: 2, packs: 170, bytes: 2_147_483_648, share: 0.75 },
      oldest: "2026-11-18T01:32:05.000Z",
      newest: snapshot.ended,
    },
    {
      recipients: "5f".repeat(32),
      current: false,
      ...{ snapshots: 12, sources: 2, packs: 60, bytes: 715_827_882, share: 0.25 },
      oldest: "2026-01-18T01:32:05.000Z",
      newest: "2026-11-17T01:32:05.000Z",
    },
  ],
  signers: [
    {
      key: "ssh-ed25519 AAAA",
      fingerprint: "SHA256:abc",
      current: true,
      snapshots: 15,
      oldest: "2026-01-18T01:32:05.000Z",
      newest: snapshot.ended,
    },
  ],
  notBelieved: 1,
  notes: [
    "/etc/drops/keys/metadata-identity.txt is not on this machine",
    "snapshot record x is signed by a key that is not trusted",
  ],
};

const zero = { files: 0, bytes: 0, readBytes: 0, newBytes: 0, storedBytes: 0 };
export const backup: BackupReport = {
  ...place,
  snapshot: { ...snapshot, key: `ops/snapshots/20261120T013205Z-${ID}.json`, sequence: 12 },
  sources: [
    {
      name: "homeserver-db",
      kind: "rocksdb",
      outcome: "ok",
      capturedAt: "2026-11-20T01:30:02.000Z",
      files: 1234,
      bytes: 5_368_709_120,
      readBytes: 104_857_600,
      newBytes: 94_371_840,
      storedBytes: 41_943_040,
      seconds: 65.4,
      notes: [],
    },
    {
      name: "media",
      kind: "files",
      outcome: "unchanged",
      capturedAt: "2026-11-20T01:30:03.500Z",
      ...zero,
      files: 1,
      bytes: 999,
      seconds: 0.421,
      notes: ["vanished while it was read: we\u001b[31mird\nname"],
    },
    {
      name: "forgejo",
      kind: "files",
      outcome: "failed",
      ...zero,
      seconds: 2,
      notes: [],
      error: {
        code: "source/failed",
        message: "/var/lib/forgejo does not exist",
        hint: "drops policy check",
      },
    },
  ],
  skewSeconds: 1.5,
  bytes: 5_368_710_119,
  readBytes: 104_857_600,
  newBytes: 94_371_840,
  storedBytes: 41_943_040,
  packs: 2,
  seconds: 125,
  notes: ["the store's clock is 3 s ahead"],
};

const line: SnapshotLine = {
  ...snapshot,
  sequence: 12,
  signature: "trusted",
  sources: [
    { name: "homeserver-db", outcome: "ok" },
    { name: "forgejo", outcome: "failed" },
  ],
  files: 1235,
  bytes: 5_368_710_119,
};

export const snapshots: SnapshotsReport = {
  ...place,
  snapshots: [
    {
      ...line,
      id: "aaaaaaaaaaaaaaaa",
      state: "complete",
      sources: [{ name: "homeserver-db", outcome: "ok" }],
    },
    { ...line, signature: "untrusted", held: "no trusted key signed it" },
  ],
  notes: [],
};

export const show: ShowReport = {
  ...place,
  ...snapshot,
  sequence: 12,
  signature: "trusted",
  signer: "SHA256:abc",
  key: backup.snapshot.key,
  tool: "drops 0.1.0",
  host: { name: "ops" },
  skewSeconds: 1.5,
  sources: [
    {
      name: "homeserver-db",
      kind: "rocksdb",
      outcome: "ok",
      capturedAt: "2026-11-20T01:30:02.000Z",
      files: 1234,
      bytes: 5_368_709_120,
      manifest: HASH,
      list: HASH,
      packs: 160,
      facts: { sequence: "18446744073709551615" },
      notes: ["3 hot attempts"],
    },
  ],
  notes: [
    "snapshot 5f1e0c3ab2d49788 is held back, and is used because it was named: it claims to be from the future",
  ],
};

export const entries: readonly LsEntry[] = [
  {
    source: "media",
    path: "a b/ü\u001b]0;x\u0007.png",
    type: "file",
    mode: "0640",
    uid: 1000,
    gid: 1000,
    user: "alice",
    group: "users",
    size: 1234,
    modified: "2026-11-19T08:00:00.123Z",
  },
  {
    source: "media",
    pathB64: "/w==",
    type: "symlink",
    mode: "0777",
    uid: 65534,
    gid: 0,
    size: 0,
    modified: "2026-11-19T08:00:00.000Z",
    target: "../b",
  },
];

export const listing = (): EntryListing => ({
  snapshot: ID,
  policy: "ops",
  zone: "Europe/Berlin",
  ended: snapshot.ended,
  entries: (async function* () {
    yield* entries;
  })(),
});

export const exported: ExportReport = {
  snapshot: ID,
  source: "media",
  path: "a b",
  form: "tar",
  bytes: 4096,
};

export const restore: RestoreReport = {
  ...place,
  snapshot: { ...snapshot, state: "complete", signature: "missing" },
  to: "/restore",
  laterSnapshots: 3,
  ageSeconds: 260_000,
  sources: [
    {
      name: "homeserver-db",
      kind: "rocksdb",
      outcome: "restored",
      directory: "/restore/homeserver-db",
      files: 1234,
      bytes: 5_368_709_120,
      seconds: 80,
      notes: [],
    },
    {
      name: "media",
      kind: "files",
      outcome: "failed",
      directory: "/restore/media",
      files: 0,
      bytes: 0,
      seconds: 1,
      notes: ["not root: owners are not set"],
      error: { code: "data/missing", message: "a pack is missing" },
      damage: {
        packs: [{ pack: HASH, problem: "is not in the store" }],
        chunksElsewhere: 2,
        chunksLost: 3,
        wholeFiles: 1200,
        wholeBytes: 5_000_000_000,
        files: [
          {
            path: "local_content/ab/cd",
            size: 5000,
            missing: [{ from: 0, to: 5000 }],
            older: { snapshot: "aaaaaaaaaaaaaaaa", ended: "2026-11-19T01:32:05.000Z" },
          },
          {
            path: "a\\u001b[31m",
            size: 9_000_000,
            missing: [
              { from: 1_048_576, to: 2_097_152 },
              { from: 8_000_000, to: 9_000_000 },
            ],
            writtenAs: "a\\u001b[31m.drops-damaged",
          },
        ],
      },
    },
  ],
  files: 1234,
  bytes: 5_368_709_120,
  packs: 160,
  seconds: 81,
  next: ["stop the homeserver before its database is put back"],
  notes: [],
};

export const verify: VerifyReport = {
  ...place,
  snapshots: [
    {
      id: "aaaaaaaaaaaaaaaa",
      ended: "2026-11-19T01:32:05.000Z",
      state: "complete",
      signature: "trusted",
      intact: true,
    },
    { id: ID, ended: snapshot.ended, state: "partial", signature: "trusted", intact: false },
  ],
  objects: 170,
  objectBytes: 2_147_483_648,
  checksums: { from: "upload", compared: 168, sizeOnly: 2 },
  coverage: { share: 0.35, runsLeft: 13, by: "2027-03-07T05:00:00.000Z" },
  evidence: { key: `ops/evidence/20261123T050000Z-0123456789abcdef.verify.json`, marked: 1 },
  readShare: 0.05,
  packsRead: 8,
  bytesRead: 268_435_456,
  opened: true,
  sources: [{ snapshot: ID, name: "homeserver-db", ok: false, detail: "table 000123.sst: block checksum" }],
  damage: [{ key: `ops/packs/9f/${HASH}`, problem: "other bytes than its name says", snapshots: [ID] }],
  seconds: 12.5,
  notes: [],
};

export const drill: DrillReport = {
  ...place,
  snapshot: { ...snapshot, state: "complete", signature: "trusted" },
  verdict: "unproven",
  whole: false,
  checks: [
    {
      id: "homeserver-db/restore",
      source: "homeserver-db",
      name: "restored, every byte authenticated",
      outcome: "passed",
      found: "1234 files, 5368709120 bytes from 160 packs",
      began: 0.2,
      seconds: 80,
    },
    {
      id: "bridge-db/server",
      source: "bridge-db",
      name: "a PostgreSQL server that is new enough",
      outcome: "could-not-run",
      found: "there is no PostgreSQL server with its programs on this machine",
      hint: "apt-get install postgresql-15",
      began: 80.2,
      seconds: 0.01,
    },
    {
      id: "rpo",
      name: "the newest snapshot is young enough (RPO)",
      outcome: "failed",
      found: "260000 s old, 86400 s are allowed; we\u001b[31mird",
      began: 80.3,
      seconds: 0,
    },
  ],
  notTested: [{ what: "source media", why: "--only left it out" }],
  objectives: {
    ageSeconds: 260_000,
    rpoSeconds: 86_400,
    restoreSeconds: 80,
    loadSeconds: 0,
    rtoSeconds: 7200,
  },
  files: 1234,
  bytes: 5_368_709_120,
  packs: 160,
  storedBytes: 2_147_483_648,
  sandbox: { user: "nobody", network: false },
  seconds: 81,
  evidence: {
    json: "/drills/20261120T013205Z-5f1e0c3ab2d49788.json",
    signature: "/drills/20261120T013205Z-5f1e0c3ab2d49788.json.sig",
    junit: "/drills/20261120T013205Z-5f1e0c3ab2d49788.junit.xml",
    page: "/drills/20261120T013205Z-5f1e0c3ab2d49788.html",
    earlier: 3,
  },
  notes: [],
};

export const sheet: SheetReport = {
  policy: "ops",
  files: ["/dev/shm/sheet/recovery-sheet.txt", "/dev/shm/sheet/recovery-sheet.html"],
  signers: [
    { fingerprint: "SHA256:abc" },
    { fingerprint: "SHA256:lost", before: "2026-11-01T00:00:00.000Z" },
  ],
  script: "5f".repeat(32),
  repositoryId: "0123456789abcdef0123456789abcdef",
  scriptInStore: true,
  notes: [],
};

export const runbook: RunbookReport = {
  policy: "ops",
  form: "text",
  text: "Recovery of ops\n===============\n",
};

export const notifyTest: NotifyTestReport = {
  policy: "ops",
  channels: [
    {
      channel: "watchdog",
      kind: "ping",
      delivered: true,
      said: "200 OK from hc-ping.com",
      attempts: 1,
    },
    {
      channel: "phone",
      kind: "webhook",
      delivered: false,
      said: "ntfy.example.org: answered 403 Forbidden",
      hint: "check the address and the headers",
      attempts: 1,
    },
  ],
};

export const notifyFailed: NotifyFailedReport = {
  policy: "ops",
  unit: "drops-backup@ops.service",
  verb: "backup",
  toldByItself: false,
  channels: [
    { channel: "operator", kind: "mail", delivered: true, said: "/usr/sbin/sendmail took it", attempts: 1 },
  ],
};

export const setup: SetupReport = {
  file: "/etc/drops/server.yaml",
  policy: "server",
  sources: ["bridge-db", "homeserver-rocksdb", "homeserver"],
  keys: { directory: "/etc/drops/keys", made: true },
  next: ["install -m 600 /dev/stdin /etc/drops/keys/s3", "drops init", "drops doctor", "drops backup"],
};
