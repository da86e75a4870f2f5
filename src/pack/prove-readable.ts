import { DropsError } from "../lib/errors.ts";
import type { SealKey } from "../seal/age-stream.ts";

/**
 * Decrypt what our own fast path sealed through the age package's own reader and compare. The recovery identity is not
 * on this machine, so an identity that knows the file key stands in for it; the header's MAC is checked all the same.
 *
 * @throws DropsError data/damaged when the package does not read back exactly `plain`
 */
export async function proveReadable(key: SealKey, sealed: Uint8Array, plain: Uint8Array): Promise<void> {
  const { Decrypter } = await import("age-encryption");
  const decrypter = new Decrypter();
  decrypter.addIdentity({ unwrapFileKey: () => key.fileKey.slice() });
  const back = await decrypter.decrypt(Uint8Array.from(sealed)).catch((cause: unknown) => {
    throw new DropsError("data/damaged", "the age package cannot read back the first pack of this run", {
      cause,
    });
  });
  if (Buffer.compare(back, plain) !== 0) {
    throw new DropsError(
      "data/damaged",
      "the age package reads back other bytes than were sealed in the first pack of this run",
    );
  }
}
