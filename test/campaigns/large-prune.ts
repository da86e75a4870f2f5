/**
 * What a prune of a large repository costs: S3 requests, seconds, memory. The objects are empty of sense but rightly named,
 * listed and signed; a prune opens none of them anyway.
 *
 *   sh scripts/node test/campaigns/large-prune.ts --packs 10000 --snapshots 30
 */

import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { mkdir, mkdtemp, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import type { Cancel } from "../../src/lib/cancel.ts";
import { Calendar } from "../../src/retention/periods.ts";
import { planPrune } from "../../src/retention/plan.ts";
import { prune } from "../../src/retention/prune.ts";
import { survey } from "../../src/retention/survey.ts";
import { newSigningKey } from "../../src/seal/keygen.ts";
import { SNAPSHOT_NAMESPACE, signerFromText } from "../../src/seal/sshsig.ts";
import { encodeList } from "../../src/snapshot/list.ts";
import { encodeRecord, type SnapshotRecord } from "../../src/snapshot/record.ts";
import { newRepository, writeRepository } from "../../src/snapshot/repository.ts";
import type { BlobInfo } from "../../src/store/blob-store.ts";
import { openDirectoryStore } from "../../src/store/directory.ts";
import { keyTime, listKey, manifestKey, packKey, recordKey, signatureKey } from "../../src/store/keys.ts";
import { trustOf } from "../../src/trust/trust.ts";
import { faultyStore } from "../support/faulty-store.ts";

const { values } = parseArgs({
  options: { packs: { type: "string", default: "10000" }, snapshots: { type: "string", default: "30" } },
});
const PACKS = Number(values.packs);
const SNAPSHOTS = Number(values.snapshots);
const HOW = { signal: new AbortController().signal };
const DAY = 86_400_000;
const SIZE = 1000;
/** Keys in one answer of S3 to a listing, and in one request to remove. */
const PAGE = 1000;

const root = await mkdtemp(join(tmpdir(), "drops-large-prune-"));
try {
  await using store = await openDirectoryStore(root, { create: true });
  const signer = signerFromText(newSigningKey("large").privateKey, "the key");
  const repository = newRepository("ab".repeat(16), new Date());
  await writeRepository(store, repository, signer, HOW);
  const packs = Array.from({ length: PACKS }, (_, at) => ({
    sha256: hash("sha256", `pack ${at}`, "hex"),
    size: SIZE,
  }));
  for (const { sha256 } of packs) await place(packKey("large", sha256), Buffer.alloc(SIZE), 400);
  for (let daysAgo = SNAPSHOTS - 1; daysAgo >= 0; daysAgo--) await snapshot(daysAgo);

  const counted = faultyStore(store, []);
  const trust = trustOf(undefined, { signers: [signer.publicKey] });
  const how = {
    rules: { rules: "sequential", last: 0, daily: 7, weekly: 4, monthly: 12, yearly: 0 } as const,
    calendar: new Calendar("Europe/Berlin"),
    limits: { rpoSeconds: 86_400, maxShare: 100, maxShrink: 50 },
  };
  let ahead = 0;
  let pages = 0;
  async function* listCounted(prefix: string, cancel: Cancel): AsyncGenerator<BlobInfo> {
    let keys = 0;
    try {
      for await (const blob of counted.list(prefix, cancel)) {
        keys++;
        yield blob;
      }
    } finally {
      pages += Math.max(1, Math.ceil(keys / PAGE));
    }
  }
  const now = () => new Date(Date.now() + ahead);
  const parts = {
    store: { ...counted, now: async () => now(), list: listCounted },
    policyName: "large",
    trust,
    now,
    proven: async () => new Set<string>(),
    signer,
    newId: () => hash("sha256", String(ahead), "hex").slice(0, 16),
  };
  for (const visit of ["condemns", "removes", "takes the mark away"]) {
    const [calls, began] = [counted.calls.length, performance.now()];
    pages = 0;
    const surveyed = await survey(parts, HOW);
    const plan = planPrune(surveyed, { ...how, limits: { ...how.limits, rpoSeconds: 10 * 86_400 } });
    assert.deepEqual(plan.refusals, []);
    const planned = performance.now();
    const { forgotten, condemned, removed } = await prune(parts, surveyed, plan, HOW);
    const kinds = new Map<string, number>();
    for (const call of counted.calls.slice(calls)) {
      const kind = call.split(" ")[0] ?? "";
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    }
    const seconds = (ms: number) => `${(ms / 1000).toFixed(2)} s`;
    console.log(
      `${visit}: ${forgotten.length} forgotten, ${condemned.length} condemned, ${removed.length} removed; ` +
        `${[...kinds].map(([kind, many]) => `${many} ${kind}`).join(", ")}: ${requestsOf(kinds, pages)} S3 requests; ` +
        `looking ${seconds(planned - began)}, doing ${seconds(performance.now() - planned)}, RSS ${Math.round(process.memoryUsage.rss() / 2 ** 20)} MiB`,
    );
    ahead += 25 * 3_600_000;
  }

  /** The newest uses the later half of the packs, each earlier one a few others: what nobody uses is condemned. */
  async function snapshot(daysAgo: number): Promise<void> {
    const used = packs.slice(Math.floor(PACKS * 0.5) - daysAgo, PACKS - daysAgo);
    const list = encodeList(used);
    const manifest = Buffer.from(`manifest of ${daysAgo}`);
    const [listed, described] = [list, manifest].map((bytes) => {
      return { sha256: hash("sha256", bytes, "hex"), size: bytes.length };
    });
    assert.ok(listed && described);
    await place(listKey("large", listed.sha256), list, daysAgo);
    await place(manifestKey("large", described.sha256), manifest, daysAgo);
    const ended = new Date(Date.now() - daysAgo * DAY - 60_000).toISOString();
    const id = String(daysAgo).padStart(16, "0");
    const source = {
      name: "all",
      kind: "files",
      outcome: "stored",
      notes: [],
      list: listed,
      manifest: described,
    } as const;
    const record: SnapshotRecord = {
      drops: "snapshot",
      format: 1,
      repository: repository.id,
      policy: "large",
      id,
      sequence: SNAPSHOTS - daysAgo,
      state: "complete",
      started: ended,
      ended,
      tool: "campaign",
      host: {},
      skew_ms: 0,
      stored_bytes: 0,
      seen: [],
      sources: [{ ...source, notes: [] }],
    };
    const bytes = encodeRecord(record);
    const key = recordKey("large", keyTime(new Date(ended)), id);
    await place(signatureKey(key), signer.sign(SNAPSHOT_NAMESPACE, bytes), daysAgo);
    await place(key, bytes, daysAgo);
  }
} finally {
  await rm(root, { recursive: true, force: true });
}

/** Every call is a request, but for listings, which have pages. What is removed at once is never more than one request takes. */
function requestsOf(kinds: ReadonlyMap<string, number>, listed: number): number {
  const calls = [...kinds].filter(([kind]) => kind !== "list").map(([, many]) => many);
  return calls.reduce((sum, many) => sum + many, listed);
}

async function place(key: string, bytes: Uint8Array, daysAgo: number): Promise<void> {
  const path = join(root, key);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, bytes);
  const at = new Date(Date.now() - daysAgo * DAY - 60_000);
  await utimes(path, at, at);
}
