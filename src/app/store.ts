import type { AppContext } from "../lib/context.ts";
import { DropsError } from "../lib/errors.ts";
import type { StorePolicy } from "../policy/schema.ts";
import type { BlobStore, VersionedStore } from "../store/blob-store.ts";
import type { Patience } from "../store/retrying.ts";

/** The store that a policy or an address names, with credentials from its file or the environment. */
export async function openStore(
  place: StorePolicy,
  context: AppContext,
  how: { readonly create?: boolean; readonly patience?: Partial<Patience> } = {},
): Promise<BlobStore> {
  if ("directory" in place) {
    const { openDirectoryStore } = await import("../store/directory.ts");
    return openDirectoryStore(place.directory, how);
  }
  return openVersionedStore(place, context, how);
}

/** The same, of a bucket: it may keep versions. Throws usage/invalid for a directory, which keeps none. */
export async function openVersionedStore(
  place: StorePolicy,
  context: AppContext,
  how: { readonly patience?: Partial<Patience> } = {},
): Promise<VersionedStore> {
  if ("directory" in place) {
    throw new DropsError("usage/invalid", `${place.directory} is a directory, which has no versions`, {
      hint: "leave out --hidden",
    });
  }
  const { openS3Store } = await import("../store/s3.ts");
  const { readCredentials } = await import("../store/credentials.ts");
  const credentials = await readCredentials({ file: place.s3.credentials_file, env: context.env });
  return openS3Store(place.s3, credentials, how.patience === undefined ? {} : { patience: how.patience });
}
