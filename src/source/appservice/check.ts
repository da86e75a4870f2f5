import type { Cancel } from "../../lib/cancel.ts";
import { isFailure } from "../../lib/errors.ts";
import type { DatabaseFiles } from "../rocksdb/verify/database-files.ts";
import { type AppserviceFinding, crossCheckAppservice } from "./cross-check.ts";
import { readStoredRegistrations, type StoredRegistration } from "./stored-registrations.ts";

/**
 * As crossCheckAppservice, with the homeserver's copies read from its database directory (nobody writes to it);
 * `homeserver` undefined leaves them out. A database that cannot be read is a finding. Throws for a lost host alone.
 */
export async function checkAppservice(
  found: {
    readonly registration: Uint8Array | undefined;
    readonly config: Uint8Array | undefined;
    readonly homeserver: DatabaseFiles | undefined;
  },
  how: Cancel,
): Promise<readonly AppserviceFinding[]> {
  const { registration, config } = found;
  const read = found.homeserver && (await storedIn(found.homeserver, how));
  if (read === undefined || "stored" in read)
    return crossCheckAppservice({ registration, config, homeserver: read?.stored });
  return [read.finding, ...crossCheckAppservice({ registration, config, homeserver: undefined })];
}

async function storedIn(
  files: DatabaseFiles,
  how: Cancel,
): Promise<{ readonly stored: readonly StoredRegistration[] } | { readonly finding: AppserviceFinding }> {
  try {
    return { stored: await readStoredRegistrations(files, how) };
  } catch (error) {
    if (!isFailure(error, "data/damaged", "data/missing", "format/unsupported", "safety/refused"))
      throw error;
    const finding = {
      name: "homeserver's copy",
      ok: false,
      found: `could not be read: ${error.message}`,
      hint: "compare it by hand once the homeserver runs: !admin appservices show-appservice-config ID in the admin room",
    };
    return { finding };
  }
}
