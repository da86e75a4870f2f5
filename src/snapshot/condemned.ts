import * as z from "zod";
import { atMost } from "../lib/at-most.ts";
import type { Cancel } from "../lib/cancel.ts";
import { isFailure } from "../lib/errors.ts";
import { MOST_DOCUMENTS } from "../lib/limits.ts";
import { PRUNE_NAMESPACE, type Signer } from "../seal/sshsig.ts";
import type { BlobInfo, BlobReader, BlobWriter } from "../store/blob-store.ts";
import { condemnedPrefix, keyTime, markKey, signatureKey } from "../store/keys.ts";
import type { Trust } from "../trust/trust.ts";
import { isTrusted } from "../trust/trusted-signer.ts";
import { decodeDocument, encodeDocument } from "./canonical-json.ts";
import { readEach, type UnreadableDocument } from "./read-each.ts";
import { FORMAT, type PolicyPlace } from "./repository.ts";
import { signatureOf } from "./signature.ts";

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
  for await (const { key } of atMost(
    store.list(condemnedPrefix(policyName), how),
    MOST_DOCUMENTS,
    `marks of policy ${policyName}`,
  )) {
    if (!key.endsWith(".json")) continue;
    const bytes = await store
      .get(key, { ...how, maxSize: MAX_SIZE })
      .catch((error: unknown) => (isFailure(error, "store/missing") ? undefined : Promise.reject(error)));
    if (!bytes) continue; // a prune removed it since it was listed: all that it named is gone
    for (const { name } of decodeDocument(bytes, Condemned, key).objects) names.add(name);
  }
  return names;
}

export interface Marks {
  readonly marks: readonly ListedMark[];
  /** Whatever else lies there: it condemns nothing, and is never hidden. */
  readonly unreadable: readonly UnreadableDocument[];
  /** Signatures beside which there is no mark: of one that was never put, or is gone. */
  readonly loneSignatures: readonly BlobInfo[];
}

/** All marks, and which of them a trusted key signed for this repository. Throws failures of the store. */
export async function readMarks(
  store: BlobReader,
  place: PolicyPlace,
  trust: Trust,
  how: Cancel,
): Promise<Marks> {
  const blobs: BlobInfo[] = [];
  for await (const blob of atMost(
    store.list(condemnedPrefix(place.policy), how),
    MOST_DOCUMENTS,
    `marks of policy ${place.policy}`,
  ))
    blobs.push(blob);
  const listed = new Set(blobs.map(({ key }) => key));
  const read = async ({ key, modified: landed }: BlobInfo, signal: AbortSignal): Promise<ListedMark> => {
    const bytes = await store.get(key, { signal, maxSize: MAX_SIZE });
    const mark = decodeDocument(bytes, Condemned, key);
    const isHere = mark.repository === place.repository && mark.policy === place.policy;
    const signed = { what: `mark ${key}`, bytes, signature: await signatureOf(store, key, { signal }) };
    return { key, landed, objects: mark.objects, trusted: isHere && isTrusted("note", signed, trust) };
  };
  const marked = blobs.filter(({ key }) => !key.endsWith(".sig"));
  const { read: marks, unreadable } = await readEach(marked, read, how);
  const loneSignatures = blobs.filter(({ key }) => key.endsWith(".sig") && !listed.has(key.slice(0, -4)));
  return { marks, unreadable, loneSignatures };
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
