import { hash } from "node:crypto";
import { open, readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Cancel } from "../lib/cancel.ts";
import { DropsError, isFailure } from "../lib/errors.ts";
import { EVIDENCE_NAMESPACE } from "../seal/sshsig.ts";
import { decodeDocument } from "../snapshot/canonical-json.ts";
import { type Trust, trustedSigner } from "../snapshot/trust.ts";
import type { BlobReader } from "../store/blob-store.ts";
import { evidencePrefix, keyTime, signatureKey } from "../store/keys.ts";
import { Evidence } from "./evidence.ts";

const NAME = /^(\d{8}T\d{6}Z)-([0-9a-f]{16})\.json$/;
/** So many of the newest are looked at: two years of weekly drills. */
const MOST = 104;
const LARGEST_EVIDENCE = 8 * 1024 * 1024;
const LARGEST_SIGNATURE = 4096;

/** Evidence of an earlier drill that was found, and whether it can be believed. */
export type EarlierEvidence = BelievedEvidence | { readonly file: string; readonly refused: string };

export interface BelievedEvidence {
  readonly file: string;
  readonly evidence: Evidence;
  readonly sha256: string;
  /** Its page, where it lies beside. */
  readonly page?: string;
  readonly refused?: undefined;
}

/** Whose evidence is meant. */
export interface EvidencePlace {
  readonly repository: string;
  readonly policy: string;
}

type ReadObject = (name: string, most: number) => Promise<Uint8Array>;

/**
 * What earlier drills of the same policy and repository left in a directory, newest first. Evidence that was changed, or
 * that no trusted key signed, is there as refused and never as evidence.
 */
export async function readEvidence(
  directory: string,
  of: EvidencePlace,
  trust: Trust,
): Promise<EarlierEvidence[]> {
  const names = await readdir(directory).catch(absentIsEmpty);
  const read: ReadObject = (name, most) => readBounded(join(directory, name), most);
  const found = await readAll(names, read, of, trust);
  return found.map((one) =>
    one.refused === undefined ? { ...one, page: one.file.replace(/json$/, "html") } : one,
  );
}

/** The same, of evidence that lies in the repository. Throws failures of the store. */
export async function readPublished(
  store: BlobReader,
  of: EvidencePlace,
  trust: Trust,
  how: Cancel,
): Promise<EarlierEvidence[]> {
  const prefix = evidencePrefix(of.policy);
  const names: string[] = [];
  for await (const { key } of store.list(prefix, how)) names.push(key.slice(prefix.length));
  return readAll(names, (name, most) => store.get(`${prefix}${name}`, { ...how, maxSize: most }), of, trust);
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

async function readAll(
  all: readonly string[],
  read: ReadObject,
  of: EvidencePlace,
  trust: Trust,
): Promise<EarlierEvidence[]> {
  const names = all.filter((name) => NAME.test(name)).sort();
  const found: EarlierEvidence[] = [];
  for (const name of names.reverse().slice(0, MOST)) {
    const one = await readOne(name, read, trust);
    const isOther =
      one.refused === undefined &&
      (one.evidence.repository !== of.repository || one.evidence.policy !== of.policy);
    if (!isOther) found.push(one);
  }
  return found;
}

async function readOne(name: string, read: ReadObject, trust: Trust): Promise<EarlierEvidence> {
  try {
    const bytes = await read(name, LARGEST_EVIDENCE);
    const signature = await read(signatureKey(name), LARGEST_SIGNATURE).catch(absentIsNothing);
    trustedSigner(name, EVIDENCE_NAMESPACE, bytes, signature, trust);
    const evidence = decodeDocument(bytes, Evidence, name);
    const [, time, id] = NAME.exec(name) ?? [];
    if (evidence.id !== id || keyTime(new Date(evidence.ended)) !== time) {
      return { file: name, refused: `${name} is evidence of another drill` };
    }
    return { file: name, evidence, sha256: hash("sha256", bytes, "hex") };
  } catch (error) {
    if (isFailure(error, "signature/untrusted", "data/damaged", "store/missing")) {
      return { file: name, refused: error.message };
    }
    if (isFailure(error) || !(error instanceof Error && "code" in error)) throw error;
    return { file: name, refused: `${name} cannot be read: ${String(error.code)}` };
  }
}

async function readBounded(path: string, most: number): Promise<Buffer> {
  await using file = await open(path, "r");
  const { size } = await file.stat();
  if (size > most) throw new DropsError("data/damaged", `${path} is too large`);
  return await file.readFile();
}

function absentIsNothing(error: unknown): undefined {
  if (isFailure(error, "store/missing", "data/damaged")) return undefined;
  if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
  throw error;
}

function absentIsEmpty(error: NodeJS.ErrnoException): string[] {
  if (error.code === "ENOENT") return [];
  throw new DropsError(
    "usage/invalid",
    `cannot read the evidence directory: ${error.code ?? error.message}`,
    { hint: "--evidence DIRECTORY, one that this user may read and write", cause: error },
  );
}
