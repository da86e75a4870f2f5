import { stat } from "node:fs/promises";
import { DropsError } from "../../src/lib/errors.ts";
import type { Policy } from "../../src/policy/schema.ts";
import { CREDENTIALS, JOBS } from "./unit-files.ts";

/** The files of a policy that these jobs need and nobody else may read, except those that a unit gets by LoadCredential=. */
export function secretFiles(policy: Policy, jobs: readonly string[]): readonly string[] {
  const all = new Set(jobs.flatMap((job) => neededFiles(policy, job)));
  all.delete(policy.keys.recovery_recipients_file ?? ""); // public
  return [...all].filter((file) => !file.startsWith(`${CREDENTIALS}/`));
}

/** Names of credentials that the policy expects at `CREDENTIALS` for this job. */
export function expectedCredentials(policy: Policy, job: string): readonly string[] {
  const there = neededFiles(policy, job).filter((file) => file.startsWith(`${CREDENTIALS}/`));
  return there.map((file) => file.slice(CREDENTIALS.length + 1)).sort();
}

/** What signs the evidence of a job that does without it too, and says so. */
export function evidenceKey({ verify, prune, keys }: Policy, job: string): string | undefined {
  if (job !== "verify") return undefined;
  return verify.signing_key_file ?? prune.signing_key_file ?? keys.signing_key_file;
}

/** What a job cannot do without. The signer of snapshots is believed by its private key, or by `keys.trusted_signers`. */
function neededFiles(policy: Policy, job: string): readonly string[] {
  const { keys, host, store } = policy;
  const reading = [
    "s3" in store ? store.s3.credentials_file : undefined,
    keys.trusted_signers.length === 0 ? keys.signing_key_file : undefined,
  ];
  const more: Readonly<Record<string, readonly (string | undefined)[]>> = {
    backup: [
      host === "local" ? undefined : host.ssh.key_file,
      keys.recovery_recipients_file,
      keys.metadata_identity_file,
      keys.signing_key_file,
    ],
    prune: [policy.prune.signing_key_file ?? keys.signing_key_file],
  };
  const named = JOBS.jobs[job]?.credentials ?? [];
  const own = named.map((name) => `${CREDENTIALS}/${name}`);
  const files = [...reading, ...(more[job] ?? []), ...own, ...alertFiles(policy, job)].filter(
    (file) => file !== undefined,
  );
  return [...new Set(files)];
}

/** Addresses and headers of the channels that are told of this job. */
function alertFiles({ notify }: Policy, job: string): readonly (string | undefined)[] {
  const told = notify?.channels.filter(({ verbs }) => verbs.some((verb) => verb === job)) ?? [];
  return told.flatMap((channel) => {
    if (channel.kind === "ping") return [channel.url_file];
    return channel.kind === "webhook" ? [channel.url_file, channel.headers_file] : [];
  });
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
