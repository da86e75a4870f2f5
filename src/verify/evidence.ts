import { randomBytes } from "node:crypto";
import * as z from "zod";
import type { Cancel } from "../lib/cancel.ts";
import type { Signer } from "../seal/sshsig.ts";
import { encodeDocument } from "../snapshot/canonical-json.ts";
import {
  type EvidenceKind,
  type FoundEvidence,
  putEvidence,
  readStored,
} from "../snapshot/evidence-store.ts";
import type { PolicyPlace } from "../snapshot/repository.ts";
import type { BlobReader, BlobWriter } from "../store/blob-store.ts";
import { keyTime, verifyEvidenceKey } from "../store/keys.ts";
import type { Trust } from "../trust/trust.ts";
import type { Damage } from "./damage-book.ts";
import { type Arc, type CoveredArc, cover, RING, WHOLE } from "./rotation.ts";
import type { VerifyResult } from "./verify.ts";

const Count = z.int().nonnegative();
const Time = z.iso.datetime();
const From = z
  .int()
  .min(0)
  .max(RING - 1);
const Span = z.int().min(1).max(RING);
const Sha256 = z.string().regex(/^[0-9a-f]{64}$/);

/** Arcs that one turn of a rotation may have; what was read longer ago than that is forgotten. */
const MOST_ARCS = 2000;
const MOST_DAMAGE = 1000;
const MOST_NOTES = 100;
/** The newest says all; older ones are looked at only when it is not believed. */
const MOST_READ = 4;

/** What a verify of all snapshots found, as it is signed; docs/format.md, "Evidence of a verify". Times in UTC. */
export const VerifyEvidence = z.object({
  drops: z.literal("evidence"),
  format: z.literal(1),
  kind: z.literal("verify"),
  repository: z.string().regex(/^[0-9a-f]{32}$/),
  policy: z.string().regex(/^[a-z][a-z0-9-]*$/),
  id: z.string().regex(/^[0-9a-f]{16}$/),
  previous: Sha256.nullable(),
  tool: z.string(),
  started: Time,
  ended: Time,
  verdict: z.enum(["intact", "damaged"]),
  snapshots: z.object({ looked_at: Count, intact: Count }),
  objects: z.object({
    looked_for: Count,
    bytes: Count,
    /** Whose SHA-256, as the store knows it, was compared with the name. */
    compared: Count,
    checksums_from: z.enum(["bytes", "upload"]).nullable(),
  }),
  read: z.object({ from: From, span: Span, packs: Count, bytes: Count, opened: z.boolean() }).nullable(),
  /** When which part of the ring of names was last read, by this verify and those before it. */
  covered: z.array(z.object({ from: From, span: Span, at: Time })).max(MOST_ARCS),
  damaged_objects: Count,
  damage: z.array(z.object({ key: z.string(), problem: z.string(), snapshots: z.array(z.string()) })),
  notes: z.array(z.string()),
});
export type VerifyEvidence = z.infer<typeof VerifyEvidence>;

const VERIFIES: EvidenceKind<VerifyEvidence> = {
  claim: "verify",
  name: /^(\d{8}T\d{6}Z)-([0-9a-f]{16})\.verify\.json$/,
  schema: VerifyEvidence,
};

/** The newest evidence of verifies, newest first, believed or not. Throws failures of the store. */
export async function readVerifies(
  store: BlobReader,
  of: PolicyPlace,
  trust: Trust,
  how: Cancel,
): Promise<FoundEvidence<VerifyEvidence>[]> {
  return readStored(store, VERIFIES, of, trust, { ...how, most: MOST_READ });
}

/** The newest that is believed. */
export function newestVerify(
  found: readonly FoundEvidence<VerifyEvidence>[],
): { readonly evidence: VerifyEvidence; readonly sha256: string } | undefined {
  return found.find((one) => one.refused === undefined);
}

/** What a verify of all snapshots came to, as evidence. */
export function verifyEvidenceOf(
  result: VerifyResult,
  how: {
    readonly tool: string;
    readonly began: Date;
    readonly ended: Date;
    readonly previous: { readonly evidence: VerifyEvidence; readonly sha256: string } | undefined;
  },
): VerifyEvidence {
  const { snapshots, damage, checked, arc } = result;
  const started = how.began.toISOString();
  return {
    drops: "evidence",
    format: 1,
    kind: "verify",
    repository: result.repository,
    policy: result.policyName,
    id: randomBytes(8).toString("hex"),
    previous: how.previous?.sha256 ?? null,
    tool: how.tool,
    started,
    ended: how.ended.toISOString(),
    verdict: damage.length === 0 ? "intact" : "damaged",
    snapshots: { looked_at: snapshots.length, intact: snapshots.filter(({ intact }) => intact).length },
    objects: {
      looked_for: result.objects,
      bytes: result.objectBytes,
      compared: checked?.compared ?? 0,
      checksums_from: checked?.from ?? null,
    },
    read: arc ? { ...arc, packs: result.packsRead, bytes: result.bytesRead, opened: result.opened } : null,
    covered: coveredBy(result, how.previous?.evidence.covered ?? [], started),
    damaged_objects: damage.length,
    damage: damage.slice(0, MOST_DAMAGE).map(shortDamage),
    notes: result.notes.slice(0, MOST_NOTES),
  };
}

/** When which packs were last read, this verify included. Bytes that were hashed where they lie were read. */
export function coveredBy(
  { arc, checked }: Pick<VerifyResult, "arc" | "checked">,
  before: readonly CoveredArc[],
  at: string,
): CoveredArc[] {
  const read: Arc | undefined = checked?.from === "bytes" ? WHOLE : arc;
  const covered = read ? cover(before, read, at) : [...before];
  if (covered.length <= MOST_ARCS) return covered;
  const oldest = covered.map((one) => one.at).sort()[covered.length - MOST_ARCS] ?? at;
  return covered.filter((one) => one.at >= oldest).slice(0, MOST_ARCS);
}

/** Sign it and put it into the repository. Answers its key. Throws failures of the store. */
export async function publishVerify(
  store: BlobWriter,
  evidence: VerifyEvidence,
  signer: Signer,
  how: Cancel,
): Promise<string> {
  const { policy, ended, id } = evidence;
  const key = verifyEvidenceKey(policy, keyTime(new Date(ended)), id);
  await putEvidence(store, key, encodeDocument(VerifyEvidence.parse(evidence)), signer, how);
  return key;
}

/** A damaged object may be needed by hundreds of snapshots: the newest ones stand for them. */
function shortDamage({ key, problem, snapshots }: Damage) {
  return { key, problem: problem.slice(0, 1024), snapshots: snapshots.slice(-20) };
}
