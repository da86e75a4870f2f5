import type { ReadAccess } from "../lib/access.ts";
import { DropsError } from "../lib/errors.ts";
import type { Policy } from "../policy/schema.ts";
import { shortened } from "../seal/recipients.ts";
import { recoveryRecipients } from "../seal/recovery-recipients.ts";
import type { ReadParts } from "./choose.ts";

/** What is said where an identity is missing or opens nothing: by age-stream.ts, open-source.ts and secret-file.ts. */
const ABOUT_IDENTITY =
  /^(no identity opens the age file|no identity given to open source \S+|identity file \S+ (does not exist|cannot be read))$/;

/**
 * What makes of such a failure one that names the files that were tried, and the recipients whose identity is wanted; other
 * failures stay as they are.
 *
 * @param policy undefined: a store alone says of its recipients nothing but a hash
 */
export async function explainerOf(
  access: Pick<ReadAccess, "identities">,
  policy: Policy | undefined,
): Promise<NonNullable<ReadParts["explain"]>> {
  const wanted = policy ? await recoveryRecipients(policy).catch(() => []) : []; // whoever reads may not have that file
  const own = policy ? [`${policy.keys.metadata_identity_file} (it opens manifests, never data)`] : [];
  const files = access.identities.length > 0 ? access.identities : own;
  const whose =
    wanted.length === 0 ? "" : `; wanted: the identity of ${wanted.map(shortened).join(" or of ")}`;
  const hint =
    "--identity FILE with the recovery identity from the safe; the recovery sheet names its public half";
  return (error) => {
    if (!ABOUT_IDENTITY.test(error.message)) return error;
    const others = files.filter((file) => !error.message.includes(file));
    const tried = others.length === 0 ? "" : `; tried: ${others.join(", ")}`;
    return new DropsError(error.code, `${error.message}${tried}${whose}`, { hint, cause: error });
  };
}
