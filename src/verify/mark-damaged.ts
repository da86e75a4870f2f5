import type { Cancel } from "../lib/cancel.ts";
import type { Signer } from "../seal/sshsig.ts";
import { type Damaged, putDamaged } from "../snapshot/damaged.ts";
import type { BlobWriter } from "../store/blob-store.ts";
import { listsPrefix, manifestsPrefix, packsPrefix } from "../store/keys.ts";
import type { Damage } from "./damage-book.ts";

const KINDS = [
  ["pack", packsPrefix],
  ["list", listsPrefix],
  ["manifest", manifestsPrefix],
] as const;

/**
 * Mark what is listed with its size and damaged all the same, so that nothing new refers to it: the next backup stores it
 * anew. What is missing or has another size needs no mark: every backup lists. Answers how many are marked.
 */
export async function markDamaged(
  store: BlobWriter,
  { repository, policyName, damage }: MarkedResult,
  how: Cancel & { readonly signer: Signer; readonly at: Date },
): Promise<number> {
  let marked = 0;
  for (const { key, problem, isHidden } of damage) {
    const object = isHidden ? objectOf(policyName, key) : undefined;
    if (!object) continue; // a record is passed over by whoever reads it
    const mark: Damaged = {
      drops: "damaged",
      format: 1,
      repository,
      policy: policyName,
      at: how.at.toISOString(),
      ...object,
      problem: problem.slice(0, 1024),
    };
    await putDamaged(store, mark, how);
    marked++;
  }
  return marked;
}

interface MarkedResult {
  readonly repository: string;
  readonly policyName: string;
  readonly damage: readonly Damage[];
}

function objectOf(policyName: string, key: string): Pick<Damaged, "kind" | "name"> | undefined {
  const kind = KINDS.find(([, prefix]) => key.startsWith(prefix(policyName)))?.[0];
  return kind && { kind, name: key.slice(key.lastIndexOf("/") + 1) };
}
