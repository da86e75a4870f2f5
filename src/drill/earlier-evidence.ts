import { open, readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Cancel } from "../lib/cancel.ts";
import { DropsError } from "../lib/errors.ts";
import {
  type EvidenceKind,
  type FoundEvidence,
  type ReadNamed,
  readNamed,
  readStored,
} from "../snapshot/evidence-store.ts";
import type { PolicyPlace } from "../snapshot/repository.ts";
import type { BlobReader } from "../store/blob-store.ts";
import type { Trust } from "../trust/trust.ts";
import { Evidence } from "./evidence.ts";

/** So many of the newest are looked at: two years of weekly drills. */
const MOST = 104;

const DRILLS: EvidenceKind<Evidence> = {
  claim: "drill",
  name: /^(\d{8}T\d{6}Z)-([0-9a-f]{16})\.json$/,
  schema: Evidence,
};

/** Evidence of an earlier drill that was found, and whether it can be believed. */
export type EarlierEvidence = FoundEvidence<Evidence> & {
  /** Its page, where it lies beside. */
  readonly page?: string;
};
export type BelievedEvidence = Extract<EarlierEvidence, { readonly evidence: Evidence }>;

/**
 * What earlier drills of the same policy and repository left in a directory, newest first. Evidence that was changed, or
 * that no trusted key signed, is there as refused and never as evidence.
 */
export async function readEvidence(
  directory: string,
  of: PolicyPlace,
  trust: Trust,
  how: Cancel,
): Promise<EarlierEvidence[]> {
  const names = await readdir(directory).catch(absentIsEmpty);
  const read: ReadNamed = (name, most) => readBounded(join(directory, name), most);
  const found = await readNamed(names, read, DRILLS, of, trust, { ...how, most: MOST });
  return found.map((one) =>
    one.refused === undefined ? { ...one, page: one.file.replace(/json$/, "html") } : one,
  );
}

/** The same, of evidence that lies in the repository. Throws failures of the store. */
export async function readPublished(
  store: BlobReader,
  of: PolicyPlace,
  trust: Trust,
  how: Cancel,
): Promise<EarlierEvidence[]> {
  return readStored(store, DRILLS, of, trust, { ...how, most: MOST });
}

/** Both, each drill once: what lies in the directory has its page beside it. Newest first. */
export function merged(
  here: readonly EarlierEvidence[],
  published: readonly EarlierEvidence[],
): EarlierEvidence[] {
  const known = new Set(here.filter(({ refused }) => refused === undefined).map(({ file }) => file));
  const more = published.filter(({ file }) => !known.has(file));
  return [...here, ...more].sort((a, b) => (a.file < b.file ? 1 : a.file > b.file ? -1 : 0));
}

/** The newest that is believed: the one that new evidence names as the one before it. */
export function newestOf(earlier: readonly EarlierEvidence[]): string | undefined {
  return earlier.find((one) => one.refused === undefined)?.sha256;
}

async function readBounded(path: string, most: number): Promise<Buffer> {
  await using file = await open(path, "r");
  const { size } = await file.stat();
  if (size > most) throw new DropsError("data/damaged", `${path} is too large`);
  return await file.readFile();
}

function absentIsEmpty(error: NodeJS.ErrnoException): string[] {
  if (error.code === "ENOENT") return [];
  throw new DropsError(
    "usage/invalid",
    `cannot read the evidence directory: ${error.code ?? error.message}`,
    { hint: "--evidence DIRECTORY, readable and writable for this user", cause: error },
  );
}
