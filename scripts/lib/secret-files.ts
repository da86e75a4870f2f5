import { stat } from "node:fs/promises";
import { DropsError } from "../../src/lib/errors.ts";
import type { Policy } from "../../src/policy/schema.ts";
import { CREDENTIALS } from "./unit-files.ts";

/** The files of a policy that nobody else may read, except those that a unit gets by LoadCredential=. */
export function secretFiles(policy: Policy): readonly string[] {
  const named = [
    policy.host === "local" ? undefined : policy.host.ssh.key_file,
    "s3" in policy.store ? policy.store.s3.credentials_file : undefined,
    policy.keys.metadata_identity_file,
    policy.keys.signing_key_file,
  ];
  return named.filter((file): file is string => file !== undefined && !file.startsWith(`${CREDENTIALS}/`));
}

/** Names of credentials that the policy expects at `CREDENTIALS`. */
export function expectedCredentials(policy: Policy): readonly string[] {
  const prefix = `${CREDENTIALS}/`;
  const text = JSON.stringify(policy.keys) + JSON.stringify(policy.store) + JSON.stringify(policy.host);
  const found = text.matchAll(new RegExp(`"${prefix}([^"/]+)"`, "g"));
  return [...new Set([...found].map(([, name]) => name ?? ""))].sort();
}

/**
 * Throws key/missing or safety/refused unless it is a file that its owner alone can read, and the owner is `owner` (a user
 * id): who runs the units, as root without capabilities reads root's files only.
 */
export async function checkSecretFile(file: string, owner: number): Promise<void> {
  const found = await stat(file).catch((cause: unknown) => {
    throw new DropsError("key/missing", `cannot look at ${file}`, {
      cause,
      hint: "drops keygen --to DIRECTORY makes keys",
    });
  });
  if (!found.isFile()) throw new DropsError("safety/refused", `${file} is not a file`);
  if ((found.mode & 0o077) !== 0)
    throw new DropsError("safety/refused", `${file} is open to others than its owner`, {
      hint: `chmod 600 ${file}`,
    });
  if (found.uid !== owner)
    throw new DropsError(
      "safety/refused",
      `${file} belongs to user ${found.uid}, the units need it as ${owner}`,
      {
        hint: `chown ${owner} ${file}, or hand it over with --credential NAME=${file}`,
      },
    );
}
