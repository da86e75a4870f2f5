import { DropsError, messageOf } from "../lib/errors.ts";
import type { SealKey } from "../seal/age-stream.ts";
import { expectChunks, readIndependently } from "./independent-reader.ts";

/**
 * Read a pack that our own code sealed as others would, and compare the names of its chunks. The recovery identity is not on this
 * machine, so an identity that knows the file key stands in for it; the header's MAC is checked all the same.
 *
 * @param names of the chunks that were put into it, in order
 * @throws DropsError data/damaged when others read something else
 */
export async function proveReadable(
  key: SealKey,
  sealed: Uint8Array,
  names: readonly string[],
): Promise<void> {
  try {
    expectChunks(await readIndependently(sealed, [{ unwrapFileKey: () => key.fileKey.slice() }]), names);
  } catch (cause) {
    throw new DropsError(
      "data/damaged",
      `other programs cannot read the first pack of this backup: ${messageOf(cause)}`,
      {
        hint: "no snapshot was made; run drops backup again, and check this machine's memory if it fails again",
        cause,
      },
    );
  }
}
