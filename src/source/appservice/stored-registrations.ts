import type { Cancel } from "../../lib/cancel.ts";
import type { DatabaseFiles } from "../rocksdb/verify/database-files.ts";
import { readColumnFamily, SMALL_FAMILY } from "../rocksdb/verify/read-family.ts";

/** Where conduwuit, continuwuity and tuwunel keep registrations: the key is the id, the value the YAML (database/maps.rs). */
const FAMILY = "id_appserviceregistrations";

/** A registration as the homeserver holds it. */
export interface StoredRegistration {
  readonly id: string;
  readonly yaml: Uint8Array;
}

/** The homeserver's own registrations, from its database. Throws as readColumnFamily does. */
export async function readStoredRegistrations(
  files: DatabaseFiles,
  how: Cancel,
): Promise<readonly StoredRegistration[]> {
  const pairs = await readColumnFamily(files, FAMILY, SMALL_FAMILY, how);
  return pairs.map(({ key, value }) => ({ id: key.toString("utf8"), yaml: value }));
}
