/** `drops status`: what is read of a repository for it, without a host and without a key, and the files it writes. */

import { resolve } from "node:path";
import { readPublished } from "../drill/earlier-evidence.ts";
import type { Cancel } from "../lib/cancel.ts";
import type { AppContext } from "../lib/context.ts";
import { DropsError, isFailure } from "../lib/errors.ts";
import { milliseconds } from "../lib/units.ts";
import { writeWhole } from "../lib/write-whole.ts";
import type { LoadedPolicy } from "../policy/load.ts";
import type { Policy } from "../policy/schema.ts";
import { type OpenCatalog, openCatalog, type ReadParts } from "../restore/choose.ts";
import { policyInside } from "../restore/policy-inside.ts";
import { type Proofs, readProofs } from "../snapshot/finding.ts";
import { heldBack } from "../snapshot/held-back.ts";
import { takeInventory } from "../snapshot/references.ts";
import type { PolicyPlace } from "../snapshot/repository.ts";
import { UNKNOWN_TIME } from "../snapshot/repository-of-records.ts";
import { sameDisk } from "../source/same-disk.ts";
import type { BlobReader } from "../store/blob-store.ts";
import { storeSpace } from "../store/directory-space.ts";
import { type Trust, trustInside } from "../trust/trust.ts";
import { readVerifies } from "../verify/evidence.ts";
import { failingBackup } from "./failing-backup.ts";
import type { Status, StatusOptions, StatusReport } from "./report.ts";
import type { Seen, SeenSnapshot } from "./seen.ts";
import { statusOf } from "./status.ts";

/** What counts where no policy can be read: the defaults of the policy's fields. */
const DEFAULTS = { rpo: "24h", every: "8d", zone: "UTC" };

/**
 * Look, judge, and write the files that were asked for.
 *
 * @throws DropsError when it cannot be known: store failures; repository/missing; usage/invalid when a file cannot be written
 */
export async function statusOfRepository(
  parts: Omit<ReadParts, "zone">,
  policy: LoadedPolicy | undefined,
  context: AppContext,
  options: StatusOptions & Cancel,
): Promise<StatusReport> {
  const status = await judgeRepository(parts, policy?.policy, context, options);
  const files = await writeFiles(status, options);
  return { ...status, files };
}

/** Throws DropsError when it cannot be known. */
export async function judgeRepository(
  parts: Omit<ReadParts, "zone">,
  policy: Policy | undefined,
  context: AppContext,
  how: Cancel,
): Promise<Status> {
  return statusOf(await look(parts, policy, context, how));
}

async function look(
  parts: Omit<ReadParts, "zone">,
  file: Policy | undefined,
  context: AppContext,
  how: Cancel,
): Promise<Seen> {
  const { store } = parts;
  const before = context.now().getTime();
  const now = await store.now(how);
  const skewSeconds = Math.round((before + context.now().getTime()) / 2000 - now.getTime() / 1000);
  const catalog = await openCatalog({ ...parts, withoutDescription: true }, how);
  const inside = file ? undefined : await policyInside(parts, catalog, how);
  const policy = file ?? inside;
  const trust = inside ? trustInside(parts.trust, inside) : parts.trust;
  const { constants } = catalog.repository;
  const every = policy?.verify.every;
  const place = { repository: catalog.repository.id, policy: catalog.policyName };
  const [evidence, verifies, proofs, { snapshots, stored, notes }] = await Promise.all([
    readPublished(store, place, trust, how),
    readVerifies(store, place, trust, how),
    proofsOf(store, place, trust, how),
    judged({ store, trust }, catalog, how),
  ]);
  return {
    policy: catalog.policyName,
    store: store.label,
    zone: policy?.zone ?? DEFAULTS.zone,
    now,
    skewSeconds,
    limits: {
      rpoSeconds: milliseconds(policy?.rpo ?? DEFAULTS.rpo) / 1000,
      drillEverySeconds: milliseconds(policy?.drill.every ?? DEFAULTS.every) / 1000,
      verifyEverySeconds: every === undefined ? undefined : milliseconds(every) / 1000,
      maxSkewSeconds: constants.max_clock_skew,
      origin: file ? "file" : inside ? "snapshot" : "defaults",
    },
    expected: policy?.sources.map(({ name }) => name),
    snapshots,
    unreadable: catalog.unreadable.map(({ key, why }) => ({ key, why: why.message })),
    descriptionLost: catalog.repository.created === UNKNOWN_TIME,
    evidence,
    verifies,
    proofs,
    failing: file && (await failingBackup(file)),
    storeSpace: file && (await storeSpace(file.store)),
    stored,
    notes: [...notes, ...(await remarks(policy, trust, file))],
  };
}

/** Every snapshot, and whether it can be counted on: by listing, by when it landed, by what operators say of it. */
async function judged(
  { store, trust }: Pick<ReadParts, "store" | "trust">,
  catalog: OpenCatalog,
  how: Cancel,
): Promise<Pick<Seen, "snapshots" | "stored" | "notes">> {
  const { snapshots, policyName } = catalog;
  const records = snapshots.map(({ record }) => record);
  const [{ references }, { of, withdrawn }] = await Promise.all([
    takeInventory(store, policyName, records, how),
    heldBack({ store, trust }, catalog, how),
  ]);
  const needed = new Set(records.flatMap((record) => [...references.objectsOf(record)]));
  const reasons = new Map(
    withdrawn.notes.filter(({ trusted }) => trusted).map(({ note }) => [note.snapshot, note.why]),
  );
  const seen = snapshots.map((listed): SeenSnapshot => {
    const { record, key } = listed;
    const isHurt = !references.areWhole(record);
    const standing = of(listed, !isHurt);
    const isQuarantined = !standing.fills && standing.quarantined && !isHurt;
    const withdrawal = reasons.get(record.id);
    const settled = withdrawal === undefined ? {} : ({ settled: true } as const);
    if (isQuarantined) return { record, key, standing: "quarantined", why: standing.why, ...settled };
    if (withdrawal !== undefined) return { record, key, standing: "withdrawn", why: withdrawal };
    if (!isHurt) return { record, key, standing: "good" };
    return { record, key, standing: "damaged", why: "objects are missing or damaged" };
  });
  const notes = [
    ...[...reasons].map(([id, why]) => `snapshot ${id} was withdrawn: ${why}`),
    ...withdrawn.unreadable.map(({ why }) => `not heeded: ${why.message}`),
    ...withdrawn.notes
      .filter(({ trusted }) => !trusted)
      .map(({ key }) => `not heeded: nobody trusted signed ${key}`),
  ];
  const bytes = [...needed].reduce((sum, { size }) => sum + size, 0);
  return { snapshots: seen, stored: { objects: needed.size, bytes }, notes };
}

/** What doctor found out where backups are made or keys are kept: signed by any key of those who look after this policy. */
async function proofsOf(store: BlobReader, place: PolicyPlace, trust: Trust, how: Cancel): Promise<Proofs> {
  try {
    return await readProofs(store, place, trust, how);
  } catch (error) {
    // a role that was made before doctors wrote anything may not read it
    if (isFailure(error, "store/refused")) return { refused: [error.message] };
    throw error;
  }
}

/** `file`: the policy, where it is on this machine. */
async function remarks(
  policy: Policy | undefined,
  trust: Trust,
  file: Policy | undefined,
): Promise<string[]> {
  const notes: string[] = [];
  if (!policy) {
    notes.push(
      `no policy could be read: measured against the defaults, rpo ${DEFAULTS.rpo} and a drill every ${DEFAULTS.every}; give --policy FILE, or --identity FILE beside --store`,
    );
  }
  if (policy && policy.prune.drill_signers.length === 0) {
    notes.push("prune.drill_signers has no key: a drill is trusted if a key for snapshots signed it");
  }
  if (trust.allowUnsigned) notes.push("--trust-unsigned: nothing proves who wrote these snapshots");
  const disk = file && (await sameDisk(file));
  return disk === undefined ? notes : [...notes, disk];
}

async function writeFiles(status: Status, { prometheus, html }: StatusOptions): Promise<string[]> {
  const written: string[] = [];
  if (prometheus !== undefined) {
    const { prometheusOf } = await import("./prometheus.ts");
    written.push(await writeFile(prometheus, prometheusOf(status)));
  }
  if (html !== undefined) {
    const { pageOf } = await import("./page.ts");
    written.push(await writeFile(html, pageOf(status)));
  }
  return written;
}

async function writeFile(file: string, text: string): Promise<string> {
  const at = resolve(file);
  try {
    await writeWhole(at, text); // a collector reads it at any moment
    return at;
  } catch (cause) {
    if (!(cause instanceof Error && "code" in cause)) throw cause;
    throw new DropsError("usage/invalid", `cannot write ${at}: ${String(cause.code)}`, {
      hint: "a file in a directory that this user may write",
      cause,
    });
  }
}
