/** What a recovery sheet asks of the store, and puts there. */

import type { Cancel } from "../lib/cancel.ts";
import { DropsError, isFailure, messageOf } from "../lib/errors.ts";
import type { Policy } from "../policy/schema.ts";
import { readCatalog } from "../snapshot/catalog.ts";
import { type Repository, readRepository } from "../snapshot/repository.ts";
import type { BlobReader, BlobStore, BlobWriter } from "../store/blob-store.ts";
import { parseRecordKey, snapshotsPrefix } from "../store/keys.ts";
import type { Signers } from "../trust/signers-file.ts";
import { trustOf } from "../trust/trust.ts";
import type { Script } from "./believed.ts";
import type { SheetReport } from "./report.ts";

const NAME_IT =
  "after a change of the signing key name every public key, the old and the new, in keys.trusted_signers";

/** The repository's id, and this version's script in the store: a sheet that names one which is not there is worth little. */
export async function askStore(
  policy: Policy,
  believed: Signers,
  script: Script,
  openStore: () => Promise<BlobStore>,
  how: Cancel,
): Promise<Pick<SheetReport, "repositoryId" | "scriptInStore" | "notes">> {
  try {
    await using store = await openStore();
    const repository = await readRepository(store, trustOf(undefined, believed), how);
    const missing = await putScript(store, script, how);
    const stranger = await strangersNewest(store, repository, policy.name, believed, how);
    const notes = [missing, stranger].filter((note) => note !== undefined);
    return { repositoryId: repository.id, scriptInStore: missing === undefined, notes };
  } catch (error) {
    if (!isFailure(error) || isFailure(error, "interrupted")) throw error;
    if (isFailure(error, "signature/untrusted")) throw unreadableSheet(error);
    const note = `the store was not asked: ${messageOf(error)}; make the sheet again when it answers, so that its repository id is on it and recover.sh is there`;
    return { scriptInStore: false, notes: [note] };
  }
}

/** Nothing in a repository is believed without its description: such a sheet would open nothing. */
function unreadableSheet(cause: DropsError): DropsError {
  return new DropsError("signature/untrusted", `no sheet was made: ${cause.message}`, {
    hint: `${NAME_IT}, or in keys.revoked_signers`,
    cause,
  });
}

/** What the sheet would not recover, though it is the newest: a machine that only reads may not know of a change of the key. */
async function strangersNewest(
  store: BlobReader,
  repository: Repository,
  policy: string,
  believed: Signers,
  how: Cancel,
): Promise<string | undefined> {
  let newest = "";
  const timeOf = (key: string) => parseRecordKey(policy, key)?.time ?? "";
  for await (const { key } of store.list(snapshotsPrefix(policy), how))
    if (timeOf(key) > newest) newest = timeOf(key);
  const isWanted = (key: string) => timeOf(key) === newest; // of one second, all
  const { unreadable } = await readCatalog(store, repository, policy, trustOf(undefined, believed), {
    ...how,
    isWanted,
  });
  const why = unreadable.find(({ why }) => isFailure(why, "signature/untrusted"))?.why;
  return why && `this sheet does not recover the newest: ${why.message}; ${NAME_IT}`;
}

/** Answers why it could not be put. */
async function putScript(
  store: BlobWriter,
  { key, bytes }: Script,
  how: Cancel,
): Promise<string | undefined> {
  try {
    await store.put(key, bytes, how);
    return undefined;
  } catch (error) {
    if (isFailure(error, "store/exists")) return undefined;
    if (!isFailure(error, "store/refused", "store/unavailable")) throw error;
    return `this version's recover.sh is not in the store: ${messageOf(error)}`;
  }
}
