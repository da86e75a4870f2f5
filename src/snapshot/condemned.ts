import * as z from "zod";
import type { Cancel } from "../lib/cancel.ts";
import { isFailure } from "../lib/errors.ts";
import { PRUNE_NAMESPACE, type Signer } from "../seal/sshsig.ts";
import type { BlobReader, BlobWriter } from "../store/blob-store.ts";
import { condemnedPrefix, keyTime, markKey, signatureKey } from "../store/keys.ts";
import { decodeDocument, encodeDocument } from "./canonical-json.ts";
import { FORMAT } from "./repository.ts";
import { signatureOf } from "./signature.ts";
import { type Trust, trustedSigner } from "./trust.ts";

const MAX_SIZE = 64 * 1024 * 1024;
/** What one mark may name, so that it stays far below its largest size. */
export const MOST_CONDEMNED = 200_000;

/** What a prune found unreferenced: irrevocably on its way out, so nothing new may refer to it. */
const Condemned = z.object({
  drops: z.literal("condemned"),
  format: z.literal(FORMAT),
  repository: z.string(),
  policy: z.string(),
  at: z.iso.datetime(),
  objects: z.array(
    z.object({ kind: z.enum(["pack", "list", "manifest", "signature"]), name: z.string().max(200) }),
  ),
});
export type Condemned = z.infer<typeof Condemned>;

export interface ListedMark {
  readonly key: string;
  /** When it landed, by the store's clock. */
  readonly landed: Date;
  /** Signed by a key that may prune. */
  readonly trusted: boolean;
  readonly objects: Condemned["objects"];
}

/**
 * Hashes of all condemned objects of a policy. The marks are taken at their word whoever signed them: to believe too many
 * costs a second upload, to believe too few a snapshot.
 */
export async function readCondemned(
  store: BlobReader,
  policyName: string,
  how: Cancel,
): Promise<Set<string>> {
  const names = new Set<string>();
  for await (const { objects } of markBodies(store, policyName, how)) {
    for (const { name } of objects) names.add(name);
  }
  return names;
}

/**
 * All marks, and which of them a trusted key signed.
 *
 * @throws DropsError data/damaged when one cannot be understood
 */
export async function readMarks(
  store: BlobReader,
  policyName: string,
  trust: Trust,
  how: Cancel,
): Promise<ListedMark[]> {
  const marks: ListedMark[] = [];
  for await (const { key, bytes, landed, objects } of markBodies(store, policyName, how)) {
    const signature = await signatureOf(store, key, how);
    marks.push({ key, landed, objects, trusted: isTrustedMark(key, bytes, signature, trust) });
  }
  return marks;
}

/** Put a mark, its signature first. Answers its key. */
export async function putMark(
  store: BlobWriter,
  mark: Condemned,
  how: Cancel & { readonly id: string; readonly signer: Signer },
): Promise<string> {
  const bytes = encodeDocument(mark);
  const key = markKey(mark.policy, keyTime(new Date(mark.at)), how.id);
  await store.put(signatureKey(key), how.signer.sign(PRUNE_NAMESPACE, bytes), how);
  await store.put(key, bytes, how);
  return key;
}

async function* markBodies(
  store: BlobReader,
  policyName: string,
  how: Cancel,
): AsyncGenerator<{ key: string; bytes: Uint8Array; landed: Date; objects: Condemned["objects"] }> {
  for await (const { key, modified } of store.list(condemnedPrefix(policyName), how)) {
    if (!key.endsWith(".json")) continue;
    const bytes = await store
      .get(key, { ...how, maxSize: MAX_SIZE })
      .catch((error: unknown) => (isFailure(error, "store/missing") ? undefined : Promise.reject(error)));
    if (!bytes) continue; // a prune removed it since it was listed: all that it named is gone
    yield { key, bytes, landed: modified, objects: decodeDocument(bytes, Condemned, key).objects };
  }
}

function isTrustedMark(
  key: string,
  bytes: Uint8Array,
  signature: Uint8Array | undefined,
  trust: Trust,
): boolean {
  try {
    trustedSigner(`mark ${key}`, PRUNE_NAMESPACE, bytes, signature, { ...trust, allowUnsigned: false });
    return true;
  } catch (error) {
    if (isFailure(error, "signature/untrusted")) return false;
    throw error;
  }
}
