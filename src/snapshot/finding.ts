import { randomBytes } from "node:crypto";
import * as z from "zod";
import type { Cancel } from "../lib/cancel.ts";
import { isFailure } from "../lib/errors.ts";
import { FINDING_NAMESPACE, type Signer } from "../seal/sshsig.ts";
import type { BlobReader, BlobWriter } from "../store/blob-store.ts";
import { findingKey, findingsPrefix, keyTime, signatureKey } from "../store/keys.ts";
import type { Trust } from "../trust/trust.ts";
import { trustedSigner } from "../trust/trusted-signer.ts";
import { decodeDocument, encodeDocument } from "./canonical-json.ts";
import { FORMAT, type PolicyPlace } from "./repository.ts";
import { signatureOf } from "./signature.ts";

const MAX_SIZE = 64 * 1024;
const NAME = /\/\d{8}T\d{6}Z-[0-9a-f]{16}\.json$/;
/** So many of the newest are looked at. */
const MOST = 50;

/** Tried with the credential of whoever makes backups. */
const Destroy = z.object({
  answer: z.enum(["yes", "no"]),
  /** One sentence each. */
  found: z.array(z.string().max(1024)).max(20),
});

/** A recovery identity that was shown opened something that is stored. */
const Recovery = z.object({
  /** Those whose identity it was. */
  recipients: z.array(z.string().max(4096)).max(100),
  snapshot: z.string().max(32),
});

/** What `drops doctor` found out that others must know too. */
const FoundByDoctor = z.object({
  drops: z.literal("doctor"),
  format: z.literal(FORMAT),
  repository: z.string(),
  policy: z.string(),
  id: z.string().regex(/^[0-9a-f]{16}$/),
  at: z.iso.datetime(),
  tool: z.string().max(200),
  destroy: Destroy.optional(),
  recovery: Recovery.optional(),
});
export type FoundByDoctor = z.infer<typeof FoundByDoctor>;
export type DestroyProof = z.infer<typeof Destroy>;
export type RecoveryProof = z.infer<typeof Recovery>;

/** The newest of each that is believed. */
export interface Proofs {
  readonly destroy?: DestroyProof & { readonly at: string };
  readonly recovery?: RecoveryProof & { readonly at: string };
  /** Not believed, and why; newest first. */
  readonly refused: readonly string[];
}

/** Put it, signature first. Answers the key. */
export async function putFound(
  store: BlobWriter,
  found: Omit<FoundByDoctor, "drops" | "format" | "id">,
  how: Cancel & { readonly signer: Signer },
): Promise<string> {
  const id = randomBytes(8).toString("hex");
  const bytes = encodeDocument({ drops: "doctor", format: FORMAT, id, ...found });
  const key = findingKey(found.policy, keyTime(new Date(found.at)), id);
  await store.put(signatureKey(key), how.signer.sign(FINDING_NAMESPACE, bytes), how);
  await store.put(key, bytes, how);
  return key;
}

/** What doctors have proven of a policy. Only what a trusted key signed. */
export async function readProofs(
  store: BlobReader,
  place: PolicyPlace,
  trust: Trust,
  how: Cancel,
): Promise<Proofs> {
  const keys: string[] = [];
  for await (const { key } of store.list(findingsPrefix(place.policy), how)) {
    if (NAME.test(key)) keys.push(key);
  }
  const refused: string[] = [];
  let proofs: Omit<Proofs, "refused"> = {};
  for (const key of keys.reverse().slice(0, MOST)) {
    const one = await readOne(store, key, place, trust, how);
    if (typeof one === "string") refused.push(one);
    else proofs = { ...newer(one), ...proofs };
    if (proofs.destroy && proofs.recovery) break;
  }
  return { ...proofs, refused };
}

function newer({ at, destroy, recovery }: FoundByDoctor): Omit<Proofs, "refused"> {
  return {
    ...(destroy ? { destroy: { ...destroy, at } } : {}),
    ...(recovery ? { recovery: { ...recovery, at } } : {}),
  };
}

/** Or why it is not believed. */
async function readOne(
  store: BlobReader,
  key: string,
  place: PolicyPlace,
  trust: Trust,
  how: Cancel,
): Promise<FoundByDoctor | string> {
  try {
    const bytes = await store.get(key, { ...how, maxSize: MAX_SIZE });
    const signature = await signatureOf(store, key, how);
    trustedSigner("finding", { what: key, bytes, signature }, trust);
    const found = decodeDocument(bytes, FoundByDoctor, key);
    const own = findingKey(found.policy, keyTime(new Date(found.at)), found.id);
    const isHere = found.repository === place.repository && found.policy === place.policy && own === key;
    return isHere ? found : `${key} belongs to another place`;
  } catch (error) {
    if (isFailure(error, "signature/untrusted", "data/damaged", "store/missing")) return error.message;
    throw error;
  }
}
