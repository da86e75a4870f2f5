import type { AppContext } from "./cli/app.ts";
import type { StorePolicy } from "./policy/schema.ts";
import type { BlobStore } from "./store/blob-store.ts";
import type { Patience } from "./store/retrying.ts";

/** The store that a policy or an address names, with credentials from its file or the environment. */
export async function openStore(
  place: StorePolicy,
  context: AppContext,
  how: { readonly create?: boolean; readonly patience?: Partial<Patience> } = {},
): Promise<BlobStore> {
  if ("directory" in place) {
    const { openDirectoryStore } = await import("./store/directory.ts");
    return openDirectoryStore(place.directory, how);
  }
  const { openS3Store } = await import("./store/s3.ts");
  const { readCredentials } = await import("./store/credentials.ts");
  const credentials = await readCredentials({ file: place.s3.credentials_file, env: context.env });
  return openS3Store(place.s3, credentials, how.patience === undefined ? {} : { patience: how.patience });
}
