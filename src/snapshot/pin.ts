import * as z from "zod";
import { atMost } from "../lib/at-most.ts";
import type { Cancel } from "../lib/cancel.ts";
import { DropsError } from "../lib/errors.ts";
import { MOST_DOCUMENTS } from "../lib/limits.ts";
import { PRUNE_NAMESPACE, type Signer } from "../seal/sshsig.ts";
import type { BlobInfo, BlobReader, BlobRemover, BlobWriter } from "../store/blob-store.ts";
import { pinKey, pinsPrefix, signatureKey, withdrawnKey, withdrawnPrefix } from "../store/keys.ts";
import type { Trust } from "../trust/trust.ts";
import { isTrusted } from "../trust/trusted-signer.ts";
import { decodeDocument, encodeDocument } from "./canonical-json.ts";
import { readEach, type UnreadableDocument } from "./read-each.ts";
import { FORMAT, type PolicyPlace } from "./repository.ts";
import { signatureOf } from "./signature.ts";

const MAX_SIZE = 64 * 1024;

/** A note about one snapshot: `pin` keeps it whatever the plan says, `withdrawn` warns of it and lets it fill no slot. */
const Note = z.object({
  drops: z.enum(["pin", "withdrawn"]),
  format: z.literal(FORMAT),
  repository: z.string(),
  policy: z.string(),
  snapshot: z.string().regex(/^[0-9a-f]{8,32}$/),
  at: z.iso.datetime(),
  /** Of a pin: it counts until then. */
  until: z.iso.datetime().optional(),
  why: z.string().max(1024),
});
export type Note = z.infer<typeof Note>;

export interface ListedNote {
  readonly key: string;
  readonly note: Note;
  /** Signed by a key that may write notes. */
  readonly trusted: boolean;
}

export interface Notes {
  readonly notes: readonly ListedNote[];
  /** Whatever else lies there. It is never taken for a note, and never hidden. */
  readonly unreadable: readonly UnreadableDocument[];
}

/** All pins, or all withdrawals, of a policy. Throws failures of the store. */
export async function readNotes(
  store: BlobReader,
  place: PolicyPlace,
  kind: Note["drops"],
  trust: Trust,
  how: Cancel,
): Promise<Notes> {
  const prefix = kind === "pin" ? pinsPrefix(place.policy) : withdrawnPrefix(place.policy);
  const listed: BlobInfo[] = [];
  for await (const blob of atMost(store.list(prefix, how), MOST_DOCUMENTS, `notes in ${prefix}`))
    if (!/\/[0-9a-f]{8,32}\.json\.sig$/.test(blob.key)) listed.push(blob);
  const read = async ({ key }: BlobInfo, signal: AbortSignal): Promise<ListedNote> => {
    const bytes = await store.get(key, { signal, maxSize: MAX_SIZE });
    const note = decodeDocument(bytes, Note, key);
    checkPlace(note, place, kind, key);
    const signed = { what: `note ${key}`, bytes, signature: await signatureOf(store, key, { signal }) };
    return { key, note, trusted: isTrusted("note", signed, trust) };
  };
  const { read: notes, unreadable } = await readEach(listed, read, how);
  return { notes, unreadable };
}

/** Copied from elsewhere, a note says nothing here. */
function checkPlace(note: Note, place: PolicyPlace, kind: Note["drops"], key: string): void {
  const isHere = note.repository === place.repository && note.policy === place.policy && note.drops === kind;
  if (isHere && noteKey(note) === key) return;
  throw new DropsError("data/damaged", `note ${key} belongs to another place`);
}

/** Whether a pin counts at that time. */
export function isInForce({ until }: Note, at: Date): boolean {
  return until === undefined || new Date(until) > at;
}

/** Put a note, its signature first. Throws store/exists when there is one already. */
export async function putNote(
  store: BlobWriter,
  note: Note,
  how: Cancel & { readonly signer: Signer },
): Promise<string> {
  const bytes = encodeDocument(note);
  const key = noteKey(note);
  await store.put(signatureKey(key), how.signer.sign(PRUNE_NAMESPACE, bytes), how);
  await store.put(key, bytes, how);
  return key;
}

/** The note goes before its signature: one without a signature could not be told from a forged one. */
export async function removeNote(
  store: BlobRemover,
  note: Pick<Note, "drops" | "policy" | "snapshot">,
  how: Cancel,
): Promise<void> {
  await store.remove(noteKey(note), how);
  await store.remove(signatureKey(noteKey(note)), how);
}

/** Where a note lies. */
export function noteKey({ drops, policy, snapshot }: Pick<Note, "drops" | "policy" | "snapshot">): string {
  return drops === "pin" ? pinKey(policy, snapshot) : withdrawnKey(policy, snapshot);
}
