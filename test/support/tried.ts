import { hash } from "node:crypto";
import { encodeEvidence } from "../../src/drill/evidence.ts";
import { publishEvidence } from "../../src/drill/publish.ts";
import type { Signer } from "../../src/seal/sshsig.ts";
import { putFound } from "../../src/snapshot/finding.ts";
import type { BlobStore } from "../../src/store/blob-store.ts";
import { publishVerify } from "../../src/verify/evidence.ts";
import { sampleEvidence } from "./sample-evidence.ts";
import { sampleVerifyEvidence } from "./sample-verify-evidence.ts";

export const TRIALS = ["drill", "verify", "recovery-key"] as const;

/** What a repository needs beside its snapshots to be green: signed results, as drops publishes them, of these trials. */
export async function tried(
  store: BlobStore,
  of: { readonly repository: string; readonly policy: string; readonly at: Date; readonly signer: Signer },
  trials: readonly (typeof TRIALS)[number][] = TRIALS,
): Promise<void> {
  const how = { signal: new AbortController().signal };
  const { repository, policy, signer } = of;
  const ended = of.at.toISOString();
  const place = {
    repository,
    policy,
    id: hash("sha256", ended + signer.publicKey, "hex").slice(0, 16),
    ended,
  };
  if (trials.includes("drill")) {
    const evidence = sampleEvidence({ ...place, verdict: "proven", whole: true });
    await publishEvidence(store, evidence, encodeEvidence(evidence), signer, how);
  }
  if (trials.includes("verify")) await publishVerify(store, sampleVerifyEvidence(place), signer, how);
  if (trials.includes("recovery-key")) {
    const recovery = { recipients: ["age1x"], snapshot: "0123456789abcdef" };
    await putFound(
      store,
      { repository, policy, at: ended, tool: "drops test", recovery },
      { ...how, signer },
    );
  }
}
