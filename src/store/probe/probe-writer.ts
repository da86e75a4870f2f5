import { hash, randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Cancel } from "../../lib/cancel.ts";
import type { S3Policy } from "../../policy/schema.ts";
import type { Lock } from "../blob-store.ts";
import type { S3Credentials } from "../credentials.ts";
import { keyTime, packKey, recordKey, signatureKey } from "../keys.ts";
import { makeS3Client, TIMEOUTS } from "../s3-client.ts";
import { type Attempt, Trial, type Tried } from "./trial.ts";

/** What was tried, and what came of it; `none` where there was nothing to try. */
export interface WriterTried {
  /** Putting over an object without the header that asks for create-only. */
  readonly overwrite: Tried;
  /** Deleting without naming a version. */
  readonly delete: Tried;
  /** Removing an earlier version, where the bucket keeps versions. */
  readonly deleteVersion: Tried | "none";
  /** The same past a lock in governance mode, where it was refused before and the bucket may lock. */
  readonly bypass: Tried | "none";
  /** Having a lock of the policy end sooner, in vain or not, and then removing the version. */
  readonly shorten: Tried | "none";
}

export interface WriterProbe extends WriterTried {
  /**
   * Whether whoever holds this credential can destroy what is stored. Where versions are kept and cannot be removed, an
   * overwrite or a delete only hides, until a rule of the bucket's lifecycle removes the version.
   */
  readonly canDestroy: "yes" | "no" | "unknown";
  /** For people, one sentence each. */
  readonly found: readonly string[];
  /** Keys of probes that could not be removed. Nothing refers to them: a prune removes them. */
  readonly left: readonly string[];
}

export interface WriterToProbe {
  readonly s3: S3Policy;
  /** Its name. */
  readonly policy: string;
  readonly credentials: S3Credentials;
  /** By the store's clock. */
  readonly now: Date;
  /** How a backup locks what it puts, with an end of its own. It must last longer than the whole probe. */
  readonly lock: Lock | undefined;
}

interface Probe extends WriterTried {
  readonly key: string;
  readonly gone: boolean;
  readonly found: readonly string[];
}

/** A lock that could be shortened is made to end so soon. Milliseconds, and as long again is waited. */
const SHORT_MS = 2000;

/**
 * Whether the credential of whoever makes backups can overwrite or delete, found out by trying both on two objects of its own:
 * one beside the packs and one beside the records, as permissions may differ there. They are random bytes under a name that
 * nothing can refer to, like what a killed backup leaves behind, are put and locked as a backup does it, and are put over with
 * the same bytes. No other object is named in any request.
 *
 * @throws DropsError key/missing for an unreadable ca_file; what the store refuses is in the answer
 */
export async function probeWriter(
  { s3, policy, credentials, now, lock }: WriterToProbe,
  how: Cancel,
): Promise<WriterProbe> {
  const begun = performance.now();
  const clock = () => new Date(now.getTime() + performance.now() - begun);
  const sdk = await import("@aws-sdk/client-s3");
  const client = await makeS3Client(sdk, s3, credentials, TIMEOUTS);
  try {
    const bytes = randomBytes(256);
    const record = recordKey(policy, keyTime(now), randomBytes(8).toString("hex"));
    const keys = [packKey(policy, hash("sha256", bytes, "hex")), signatureKey(record)];
    const probes: Probe[] = [];
    for (const key of keys) {
      const trial = new Trial({ sdk, client }, { ...s3, key }, { bytes, lock }, how);
      probes.push(await tryOn(trial, clock, how));
    }
    return verdict(probes);
  } finally {
    client.destroy();
  }
}

const NOTHING_TRIED = {
  overwrite: "unknown",
  delete: "unknown",
  deleteVersion: "none",
  bypass: "none",
  shorten: "none",
} as const;

async function tryOn(trial: Trial, clock: () => Date, how: Cancel): Promise<Probe> {
  const { key } = trial;
  const first = await trial.put({ createOnly: true });
  if (first.tried !== "possible") {
    const what = trial.lock ? `object with a lock in ${trial.lock.mode} mode` : "object";
    return {
      ...{ key, gone: true, ...NOTHING_TRIED },
      found: [`${key}: this credential cannot put an ${what} there (${first.why})`],
    };
  }
  const overwrite = await trial.put({ createOnly: false });
  const versions =
    first.version === undefined ? undefined : await tryVersion(trial, first.version, clock, how);
  const removed = await trial.remove();
  // Gone for good, or behind a delete marker: the newest version must not stay where it can be removed.
  if (versions?.deleted) await removeVersions(trial, [overwrite.version, removed.version], versions.deleted);
  const tried = { overwrite, delete: removed, deleteVersion: versions?.plain, ...versions?.past };
  return {
    key,
    gone: removed.tried === "possible",
    overwrite: overwrite.tried,
    delete: removed.tried,
    deleteVersion: tried.deleteVersion?.tried ?? "none",
    bypass: tried.bypass?.tried ?? "none",
    shorten: tried.shorten?.tried ?? "none",
    found: [`${key}: ${inWords(tried)}`],
  };
}

async function removeVersions(
  trial: Trial,
  versions: readonly (string | undefined)[],
  how: { readonly bypass: boolean },
): Promise<void> {
  for (const version of versions) if (version !== undefined) await trial.removeVersion(version, how);
}

interface TriedVersion {
  readonly plain: Attempt;
  /** Past its lock. */
  readonly past?: { readonly bypass: Attempt; readonly shorten?: Attempt };
  /** How versions can be removed; undefined where they cannot. */
  readonly deleted?: { readonly bypass: boolean };
}

/** Every way to remove a version, until one goes. */
async function tryVersion(
  trial: Trial,
  version: string,
  clock: () => Date,
  how: Cancel,
): Promise<TriedVersion> {
  const plain = await trial.removeVersion(version, { bypass: false });
  if (plain.tried === "possible") return { plain, deleted: { bypass: false } };
  const bypass = await trial.removeVersion(version, { bypass: true });
  if (bypass.tried === "possible") return { plain, past: { bypass }, deleted: { bypass: true } };
  const { lock } = trial;
  // A bucket that cannot lock has no such header.
  if (!lock) return bypass.refusal === "no-locks" ? { plain } : { plain, past: { bypass } };
  const shorten = await tryShorter(trial, { version, lock }, clock, how);
  return { plain, past: { bypass, shorten } };
}

/** Whoever can have a lock end sooner has to be allowed to remove the version as well, which is tried once it has ended. */
async function tryShorter(
  trial: Trial,
  { version, lock }: { readonly version: string; readonly lock: Lock },
  clock: () => Date,
  how: Cancel,
): Promise<Attempt> {
  const until = new Date(Math.ceil(clock().getTime() / 1000) * 1000 + SHORT_MS); // whole seconds are all that some keep
  let shortened = await trial.shorten(version, { lock, until, bypass: false });
  if (shortened.tried === "refused") shortened = await trial.shorten(version, { lock, until, bypass: true });
  if (shortened.tried !== "possible") return shortened;
  await sleep(until.getTime() - clock().getTime() + SHORT_MS, undefined, how);
  const removed = await trial.removeVersion(version, { bypass: false });
  return removed.tried === "refused" ? { ...removed, why: "it ends sooner, and stays" } : removed;
}

function verdict(probes: readonly Probe[]): WriterProbe {
  const all = (of: (probe: Probe) => Tried | "none"): Tried => worst(probes.map(of));
  const hides = probes.every(({ deleteVersion }) => deleteVersion !== "none");
  const overwrite = all((probe) => probe.overwrite);
  const remove = all((probe) => probe.delete);
  const kept = hides ? probes : [];
  const tried = (of: (probe: Probe) => Tried | "none"): Tried | "none" =>
    kept.every((probe) => of(probe) === "none") ? "none" : worst(kept.map(of));
  const ways = {
    deleteVersion: tried((probe) => probe.deleteVersion),
    bypass: tried((probe) => probe.bypass),
    shorten: tried((probe) => probe.shorten),
  };
  const destroys = hides ? worst(Object.values(ways)) : worst([overwrite, remove]);
  return {
    ...{ overwrite, delete: remove, ...ways },
    canDestroy: ({ possible: "yes", refused: "no", unknown: "unknown" } as const)[destroys],
    found: probes.flatMap(({ found }) => found),
    left: probes.filter(({ gone }) => !gone).map(({ key }) => key),
  };
}

/** What is possible anywhere is possible; what is not known anywhere is not known. */
function worst(tried: readonly (Tried | "none")[]): Tried {
  if (tried.includes("possible")) return "possible";
  const known = tried.filter((one) => one !== "none");
  return known.length > 0 && known.every((one) => one === "refused") ? "refused" : "unknown";
}

const WAYS: Readonly<Record<keyof WriterTried, string>> = {
  overwrite: "overwriting is",
  delete: "deleting is",
  deleteVersion: "removing a version is",
  bypass: "past a lock in governance mode it is",
  shorten: "after ending its lock sooner it is",
};

function inWords(attempts: Readonly<Partial<Record<keyof WriterTried, Attempt | undefined>>>): string {
  const words = Object.entries(WAYS).flatMap(([way, is]) => {
    const attempt = attempts[way as keyof WriterTried];
    if (attempt === undefined) return [];
    const { tried, why } = attempt;
    if (tried === "possible") return [`${is} possible`];
    return [`${is} ${tried === "unknown" ? "not proven" : tried} (${why})`];
  });
  return words.join(", ");
}
