/** What is printed: the recovery sheet and the runbook, from a policy or from a store and an identity alone. */
import { hash } from "node:crypto";
import { dirname, join, resolve } from "node:path";
import type { Cancel } from "../lib/cancel.ts";
import type { AppContext } from "../lib/context.ts";
import { DropsError } from "../lib/errors.ts";
import { readText } from "../lib/read-at-most.ts";
import type { Policy } from "../policy/schema.ts";
import { wallTime } from "../policy/zone.ts";
import { writeAllOrNone } from "../seal/new-files.ts";
import { readIdentityFile, recipientsOf } from "../seal/recipients.ts";
import { recoveryRecipients } from "../seal/recovery-recipients.ts";
import { fingerprint } from "../seal/sshsig.ts";
import { sameDisk } from "../source/same-disk.ts";
import type { BlobStore } from "../store/blob-store.ts";
import { documentAsPage } from "./as-page.ts";
import { documentAsText } from "./as-text.ts";
import { believedBy, scriptObject } from "./believed.ts";
import type { SheetOptions, SheetReport } from "./report.ts";
import { recoverySheet } from "./sheet.ts";
import { askStore } from "./sheet-store.ts";

/**
 * The recovery sheet of a policy as text and as a page, 0600, into `to`. When the store can be reached its repository's id
 * is on it, and this version's recover.sh is put there if it is not.
 *
 * @throws DropsError key/missing, key/wrong when the identity is not the policy's, safety/refused when a file exists
 */
export async function makeSheet(
  policy: Policy,
  options: SheetOptions & Cancel,
  context: AppContext,
  openStore: () => Promise<BlobStore>,
): Promise<SheetReport> {
  const { identity, recipient, trustedSigners } = await recoveryIdentity(policy, options.identity);
  const believed = await believedBy(policy, trustedSigners);
  const script = await scriptObject();
  const asked = await askStore(policy, believed, script, openStore, options);
  const document = recoverySheet({
    ...{ store: policy.store, policy: policy.name, ...believed, script: script.sha256 },
    ...{ identity, recipient, repositoryId: asked.repositoryId, authority: await authorityOf(policy) },
    sameDisk: await sameDisk(policy),
    sshKey: policy.host === "local" ? undefined : policy.host.ssh.key_file,
    made: wallTime(context.now(), policy.zone).slice(0, 10),
    version: context.version,
  });
  const directory = resolve(options.to);
  const files = [
    { path: join(directory, "recovery-sheet.txt"), text: documentAsText(document), secret: true },
    {
      path: join(directory, "recovery-sheet.html"),
      text: documentAsPage(document, { dense: true }),
      secret: true,
    },
  ];
  await writeAllOrNone(directory, files, "print and remove the old sheet first, or give another directory");
  return {
    policy: policy.name,
    files: files.map(({ path }) => path),
    signers: [
      ...believed.signers.map((key) => ({ fingerprint: fingerprint(key) })),
      ...believed.revoked.map(({ key, before }) => ({
        fingerprint: fingerprint(key),
        before: before.toISOString(),
      })),
    ],
    script: script.sha256,
    ...asked,
  };
}

/** The one identity that opens what this policy backs up. Throws key/missing, key/wrong. */
async function recoveryIdentity(
  policy: Policy,
  named: string | undefined,
): Promise<{ identity: string; recipient: string; trustedSigners: readonly string[] }> {
  const wanted = await recoveryRecipients(policy);
  const beside = policy.keys.recovery_recipients_file;
  const file = named ?? (beside === undefined ? undefined : join(dirname(beside), "recovery-identity.txt"));
  if (file === undefined) {
    throw new DropsError("key/missing", "no recovery identity given", {
      hint: "--identity recovery-identity.txt",
    });
  }
  const { identities, trustedSigners } = await readIdentityFile(file);
  const recipients = await recipientsOf(identities);
  const index = recipients.findIndex((recipient) => wanted.includes(recipient));
  const [identity, recipient] = [identities[index], recipients[index]];
  if (identity !== undefined && recipient !== undefined) return { identity, recipient, trustedSigners };
  throw new DropsError("key/wrong", `${file} cannot open backups of policy ${policy.name}`, {
    hint: `use the identity of ${wanted.join(" or ")}`,
  });
}

async function authorityOf(policy: Policy): Promise<string | undefined> {
  const file = "s3" in policy.store ? policy.store.s3.ca_file : undefined;
  if (file === undefined) return undefined;
  const bytes = await readText(file).catch((cause: unknown) => {
    throw new DropsError("key/missing", `cannot read the certificate authority ${file}`, { cause });
  });
  return hash("sha256", bytes, "hex");
}
