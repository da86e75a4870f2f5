import { hash } from "node:crypto";
import type * as z from "zod";
import { atMost } from "../lib/at-most.ts";
import type { Cancel } from "../lib/cancel.ts";
import { isFailure } from "../lib/errors.ts";
import { MOST_DOCUMENTS, SMALL_READS_AT_ONCE } from "../lib/limits.ts";
import { mapLimit } from "../lib/map-limit.ts";
import { EVIDENCE_NAMESPACE, type Signer } from "../seal/sshsig.ts";
import type { BlobReader, BlobWriter } from "../store/blob-store.ts";
import { evidencePrefix, keyTime, signatureKey } from "../store/keys.ts";
import type { Trust } from "../trust/trust.ts";
import { trustedSigner } from "../trust/trusted-signer.ts";
import { decodeDocument } from "./canonical-json.ts";
import type { PolicyPlace } from "./repository.ts";

const LARGEST_EVIDENCE = 8 * 1024 * 1024;
const LARGEST_SIGNATURE = 4096;

/** What every kind of evidence says of itself. */
export interface AnyEvidence {
  readonly repository: string;
  readonly policy: string;
  readonly id: string;
  readonly ended: string;
}

/** One kind of evidence. */
export interface EvidenceKind<Evidence extends AnyEvidence> {
  /** What it is believed for, and called in a sentence. */
  readonly claim: "drill" | "verify";
  /** Of its names, with time and id as groups. */
  readonly name: RegExp;
  readonly schema: z.ZodType<Evidence>;
}

/** Evidence that was found, and whether it can be believed. */
export type FoundEvidence<Evidence> =
  | {
      readonly file: string;
      readonly evidence: Evidence;
      readonly sha256: string;
      readonly refused?: undefined;
    }
  | { readonly file: string; readonly refused: string };

export type ReadNamed = (name: string, most: number) => Promise<Uint8Array>;

/** Evidence of one kind in the repository, the newest `most`, newest first. Throws failures of the store. */
export async function readStored<Evidence extends AnyEvidence>(
  store: BlobReader,
  kind: EvidenceKind<Evidence>,
  of: PolicyPlace,
  trust: Trust,
  how: Cancel & { readonly most: number },
): Promise<FoundEvidence<Evidence>[]> {
  const prefix = evidencePrefix(of.policy);
  const names: string[] = [];
  for await (const { key } of atMost(
    store.list(prefix, how),
    MOST_DOCUMENTS,
    `pieces of evidence in ${prefix}`,
  ))
    names.push(key.slice(prefix.length));
  const read: ReadNamed = (name, most) =>
    store.get(`${prefix}${name}`, { signal: how.signal, maxSize: most });
  return readNamed(names, read, kind, of, trust, how);
}

/**
 * Evidence of one kind among `names`, the newest `most`, newest first. What was changed, or what no trusted key signed, is
 * there as refused and never as evidence; what belongs to another repository or policy is left out.
 */
export async function readNamed<Evidence extends AnyEvidence>(
  names: readonly string[],
  read: ReadNamed,
  kind: EvidenceKind<Evidence>,
  of: PolicyPlace,
  trust: Trust,
  how: Cancel & { readonly most: number },
): Promise<FoundEvidence<Evidence>[]> {
  const wanted = names.filter((name) => kind.name.test(name)).sort();
  const found: FoundEvidence<Evidence>[] = [];
  const all = mapLimit(
    wanted.reverse().slice(0, how.most),
    SMALL_READS_AT_ONCE,
    (name) => readOne(name, read, kind, trust),
    how.signal,
  );
  for await (const one of all) {
    const isOther =
      one.refused === undefined &&
      (one.evidence.repository !== of.repository || one.evidence.policy !== of.policy);
    if (!isOther) found.push(one);
  }
  return found;
}

/**
 * Sign evidence and put it, the signature first.
 *
 * @throws DropsError of the store; store/refused where the credential may only read
 */
export async function putEvidence(
  store: BlobWriter,
  key: string,
  bytes: Uint8Array,
  signer: Signer,
  how: Cancel,
): Promise<void> {
  await putOnceNamed(store, signatureKey(key), signer.sign(EVIDENCE_NAMESPACE, bytes), how);
  await putOnceNamed(store, key, bytes, how);
}

/** What is there under this name already says the same, or was put by this very call, whose answer was unclear. */
export async function putOnceNamed(
  store: BlobWriter,
  key: string,
  bytes: Uint8Array,
  how: Cancel,
): Promise<void> {
  try {
    await store.put(key, bytes, { signal: how.signal });
  } catch (error) {
    if (!isFailure(error, "store/exists")) throw error;
  }
}

async function readOne<Evidence extends AnyEvidence>(
  name: string,
  read: ReadNamed,
  kind: EvidenceKind<Evidence>,
  trust: Trust,
): Promise<FoundEvidence<Evidence>> {
  try {
    const bytes = await read(name, LARGEST_EVIDENCE);
    const signature = await read(signatureKey(name), LARGEST_SIGNATURE).catch(absentIsNothing);
    trustedSigner(kind.claim, { what: name, bytes, signature }, trust);
    const evidence = decodeDocument(bytes, kind.schema, name);
    const [, time, id] = kind.name.exec(name) as RegExpExecArray; // only such names are read
    if (evidence.id !== id || keyTime(new Date(evidence.ended)) !== time) {
      return { file: name, refused: `${name} is evidence of another ${kind.claim}` };
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

function absentIsNothing(error: unknown): undefined {
  if (isFailure(error, "store/missing", "data/damaged")) return undefined;
  if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
  throw error;
}
