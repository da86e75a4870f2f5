import * as z from "zod";
import { CHUNKER } from "../chunk/fastcdc.ts";
import type { Cancel } from "../lib/cancel.ts";
import { DropsError, isFailure } from "../lib/errors.ts";
import { REPOSITORY_NAMESPACE, type Signer } from "../seal/sshsig.ts";
import type { BlobReader, BlobWriter } from "../store/blob-store.ts";
import { REPOSITORY_KEY, REPOSITORY_SIGNATURE_KEY } from "../store/keys.ts";
import type { Trust } from "../trust/trust.ts";
import { trustedSigner } from "../trust/trusted-signer.ts";
import { decodeDocument, encodeDocument } from "./canonical-json.ts";
import { signatureOf } from "./signature.ts";

/** The format that this program writes, and the newest that it reads. */
export const FORMAT = 1;
/** Entries of `requires` that this program understands. */
const UNDERSTOOD: readonly string[] = [];
const MAX_SIZE = 1024 * 1024;

const Repository = z.object({
  drops: z.literal("repository"),
  format: z.int().positive(),
  id: z.string().regex(/^[0-9a-f]{32}$/),
  created: z.iso.datetime(),
  requires: z.array(z.string()),
  chunker: z.object({ algorithm: z.string(), min: z.int(), average: z.int(), max: z.int() }),
  constants: z.object({
    /** Seconds. */
    max_clock_skew: z.int().positive(),
    condemn_after: z.int().positive(),
    delete_after: z.int().positive(),
    commit_within: z.int().positive(),
    /** A pack is taken for known when at least this share (percent) of it is in use. */
    min_pack_use: z.int().min(0).max(100),
  }),
});
export type Repository = z.infer<typeof Repository>;

/** One policy in one repository: what notes, marks and evidence are about. */
export interface PolicyPlace {
  /** The repository's id. */
  readonly repository: string;
  readonly policy: string;
}

/** Of every repository that this program makes. */
export const CONSTANTS: Repository["constants"] = {
  max_clock_skew: 15 * 60,
  condemn_after: 48 * 3600,
  delete_after: 24 * 3600,
  commit_within: 3600,
  min_pack_use: 30,
};

/** A new repository's description. `id` is 32 random hex digits. */
export function newRepository(id: string, created: Date): Repository {
  return {
    drops: "repository",
    format: FORMAT,
    id,
    created: created.toISOString(),
    requires: [],
    chunker: { ...CHUNKER },
    constants: { ...CONSTANTS },
  };
}

/**
 * Store it, signature first, after `before` has put what must be there when the repository is. Throws repository/exists
 * when there is one already, without having put anything.
 */
export async function writeRepository(
  store: BlobReader & BlobWriter,
  repository: Repository,
  signer: Signer,
  how: Cancel,
  before: () => Promise<void> = async () => {},
): Promise<void> {
  if (await isThere(store, how)) throw alreadyThere(store.label);
  await before();
  const bytes = encodeDocument(repository);
  try {
    await store.put(REPOSITORY_SIGNATURE_KEY, signer.sign(REPOSITORY_NAMESPACE, bytes), how);
    await store.put(REPOSITORY_KEY, bytes, how);
  } catch (error) {
    if (isFailure(error, "store/exists")) throw alreadyThere(store.label);
    throw error;
  }
}

/**
 * Read and check the repository's description; its signature too, unless `trust` is undefined (listing needs no key).
 *
 * @throws DropsError repository/missing, format/unsupported, signature/untrusted, data/damaged
 */
export async function readRepository(
  store: BlobReader,
  trust: Trust | undefined,
  how: Cancel,
): Promise<Repository> {
  const bytes = await store.get(REPOSITORY_KEY, { ...how, maxSize: MAX_SIZE }).catch((error: unknown) => {
    if (!isFailure(error, "store/missing")) throw error;
    throw new DropsError("repository/missing", `there is no drops repository in ${store.label}`, {
      hint: "check the store's bucket and prefix; drops init  makes a repository",
    });
  });
  if (trust) await checkSignature(store, bytes, trust, how);
  refuseOtherFormats(bytes, store.label);
  return decodeDocument(bytes, Repository, `${REPOSITORY_KEY} in ${store.label}`);
}

/** Backup and prune must understand every `requires` entry; reading need not. */
export function requireUnderstood(repository: Repository): void {
  const unknown = repository.requires.filter((feature) => !UNDERSTOOD.includes(feature));
  if (unknown.length > 0) {
    throw new DropsError(
      "format/unsupported",
      `the repository requires ${unknown.join(", ")}, which this version of drops does not know`,
      {
        hint: "update drops; restores of known data still work",
      },
    );
  }
  const { algorithm, min, average, max } = repository.chunker;
  const same =
    algorithm === CHUNKER.algorithm &&
    min === CHUNKER.min &&
    average === CHUNKER.average &&
    max === CHUNKER.max;
  if (!same) {
    throw new DropsError(
      "format/unsupported",
      `the repository cuts chunks by ${algorithm}, which this version of drops does not write`,
      {
        hint: "update drops",
      },
    );
  }
}

async function checkSignature(
  store: BlobReader,
  bytes: Uint8Array,
  trust: Trust,
  how: Cancel,
): Promise<void> {
  if (trust.allowUnsigned) return;
  const signature = await signatureOf(store, REPOSITORY_KEY, how);
  const landed = trust.revoked.length > 0 ? await landedWhole(store, how) : undefined;
  const what = `${REPOSITORY_KEY} in ${store.label}`;
  trustedSigner("repository", { what, bytes, signature, landed }, trust);
}

/** When the description and its signature both were there, by the store's clock. */
async function landedWhole(store: BlobReader, how: Cancel): Promise<Date | undefined> {
  const times = new Map<string, number>();
  for await (const { key, modified } of store.list(REPOSITORY_KEY, how)) times.set(key, modified.getTime());
  const [own, signed] = [times.get(REPOSITORY_KEY), times.get(REPOSITORY_SIGNATURE_KEY)];
  return own === undefined || signed === undefined ? undefined : new Date(Math.max(own, signed));
}

/** Before the shape is checked: another format may have another shape. */
function refuseOtherFormats(bytes: Uint8Array, label: string): void {
  const found = /"format": (\d{1,9})/.exec(Buffer.from(bytes.subarray(0, 4096)).toString("latin1"))?.[1];
  if (found !== undefined && Number(found) !== FORMAT) {
    throw new DropsError(
      "format/unsupported",
      `the repository in ${label} has format ${found}; this drops reads format ${FORMAT}`,
      {
        hint: "use the drops version that wrote it, or a newer one",
      },
    );
  }
}

async function isThere(store: BlobReader, how: Cancel): Promise<boolean> {
  try {
    await store.get(REPOSITORY_KEY, { ...how, maxSize: MAX_SIZE });
    return true;
  } catch (error) {
    if (isFailure(error, "store/missing")) return false;
    throw error;
  }
}

function alreadyThere(label: string): DropsError {
  return new DropsError(
    "repository/exists",
    `there is a repository in ${label} already; init overwrites nothing`,
    {
      hint: "drops snapshots  lists its snapshots; use another prefix for a new repository",
    },
  );
}
