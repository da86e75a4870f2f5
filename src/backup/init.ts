import { randomBytes } from "node:crypto";
import type { Cancel } from "../lib/cancel.ts";
import { isFailure } from "../lib/errors.ts";
import type { Signer } from "../seal/sshsig.ts";
import { newRepository, type Repository, writeRepository } from "../snapshot/repository.ts";
import type { BlobReader, BlobWriter } from "../store/blob-store.ts";
import { recoveryObjects } from "./recovery-objects.ts";

/**
 * Make a repository: what recovery with standard tools needs, then its signed description, which is what makes it one.
 * A broken init can be run again.
 *
 * @throws DropsError repository/exists when there is one already; store failures
 */
export async function init(
  store: BlobReader & BlobWriter,
  signer: Signer,
  now: Date,
  how: Cancel,
): Promise<{ repository: Repository; recovery: string[] }> {
  const repository = newRepository(randomBytes(16).toString("hex"), now);
  await writeRepository(store, repository, signer, how, async () => {
    for (const { key, bytes } of await recoveryObjects()) await putUnlessThere(store, key, bytes, how);
  });
  return { repository, recovery: (await recoveryObjects()).map(({ key }) => key) };
}

async function putUnlessThere(store: BlobWriter, key: string, bytes: Uint8Array, how: Cancel): Promise<void> {
  try {
    await store.put(key, bytes, how);
  } catch (error) {
    if (!isFailure(error, "store/exists")) throw error;
  }
}
