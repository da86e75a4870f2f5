import * as z from "zod";
import type { Cancel } from "../lib/cancel.ts";
import type { BlobReader } from "../store/blob-store.ts";
import { condemnedPrefix } from "../store/keys.ts";
import { decodeDocument } from "./canonical-json.ts";
import { FORMAT } from "./repository.ts";

const MAX_SIZE = 64 * 1024 * 1024;

/** What a prune found unreferenced: irrevocably on its way out, so nothing new may refer to it. */
const Condemned = z.object({
  drops: z.literal("condemned"),
  format: z.literal(FORMAT),
  repository: z.string(),
  policy: z.string(),
  at: z.iso.datetime(),
  objects: z.array(
    z.object({ kind: z.enum(["pack", "list", "manifest", "signature"]), name: z.string().max(200) }),
  ),
});

/**
 * Hashes of all condemned objects of a policy. The marks are taken at their word whoever signed them: to believe too many
 * costs a second upload, to believe too few a snapshot.
 */
export async function readCondemned(
  store: BlobReader,
  policyName: string,
  how: Cancel,
): Promise<Set<string>> {
  const names = new Set<string>();
  for await (const { key } of store.list(condemnedPrefix(policyName), how)) {
    if (!key.endsWith(".json")) continue;
    const mark = decodeDocument(await store.get(key, { ...how, maxSize: MAX_SIZE }), Condemned, key);
    for (const { name } of mark.objects) names.add(name);
  }
  return names;
}
