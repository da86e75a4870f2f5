/** What is printed: the recovery sheet and the runbook, from a policy or from a store and an identity alone. */
import { hash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { recoveryObjects } from "../backup/recovery-objects.ts";
import type { AppContext, RunbookOptions, SheetOptions } from "../cli/app.ts";
import type { RunbookReport, SheetReport } from "../cli/outputs.ts";
import type { Cancel } from "../lib/cancel.ts";
import { DropsError, isFailure, messageOf } from "../lib/errors.ts";
import { findPolicy, POLICY_DIRS } from "../policy/find.ts";
import { type LoadedPolicy, loadPolicy, parsePolicy } from "../policy/load.ts";
import type { Policy } from "../policy/schema.ts";
import { openCatalog } from "../restore/choose.ts";
import { openSource } from "../restore/open-source.ts";
import { documentAsMarkdown } from "../restore/paper/as-markdown.ts";
import { documentAsPage } from "../restore/paper/as-page.ts";
import { documentAsText } from "../restore/paper/as-text.ts";
import { runbook } from "../restore/paper/runbook.ts";
import { GENERAL, type RunbookFacts, runbookFacts } from "../restore/paper/runbook-facts.ts";
import { recoverySheet } from "../restore/paper/sheet.ts";
import { writeAllOrNone } from "../seal/new-files.ts";
import { readIdentityFile, recipientsOf } from "../seal/recipients.ts";
import { loadSigner } from "../seal/sshsig.ts";
import { readRepository } from "../snapshot/repository.ts";
import type { BlobWriter } from "../store/blob-store.ts";
import { parseStoreUrl } from "../store/store-url.ts";
import { openAccess, policyOf, publicKeyOf } from "./access.ts";
import { recoveryRecipients } from "./keys.ts";
import { openStore } from "./store.ts";

/**
 * The recovery sheet of a policy as text and as a page, 0600, into `to`. When the store can be reached its repository's id
 * is on it, and this version's recover.sh is put there if it is not.
 *
 * @throws DropsError key/missing, key/wrong when the identity is not the policy's, safety/refused when a file exists
 */
export async function makeSheet(options: SheetOptions & Cancel, context: AppContext): Promise<SheetReport> {
  const { policy } = await loadNamed(options.policy, context);
  const { identity, recipient, trustedSigners } = await recoveryIdentity(policy, options.identity);
  const signer = await signerOf(policy, trustedSigners);
  const script = await scriptObject();
  const asked = await askStore(policy, signer, script, context, options);
  const document = recoverySheet({
    ...{ store: policy.store, policy: policy.name, signer, script: script.sha256 },
    ...{ identity, recipient, repositoryId: asked.repositoryId, authority: await authorityOf(policy) },
    made: context.now(),
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
  return { policy: policy.name, files: files.map(({ path }) => path), script: script.sha256, ...asked };
}

/** The plan for a person, for one policy or in general. */
export async function makeRunbook(
  options: RunbookOptions & Cancel,
  context: AppContext,
): Promise<RunbookReport> {
  const script = (await scriptObject()).sha256;
  const facts = options.general ? GENERAL : await factsOf(options, script, context);
  const document = runbook(facts);
  const { form } = options;
  const words =
    form === "html"
      ? documentAsPage(document)
      : form === "markdown"
        ? documentAsMarkdown(document)
        : documentAsText(document);
  const report = { policy: facts.policy, form, text: words };
  if (options.out === undefined) return report;
  const path = resolve(options.out);
  await writeAllOrNone(
    dirname(path),
    [{ path, text: words, secret: false }],
    "give another name, or remove it first",
  );
  return { ...report, file: path };
}

/** The plan of a policy as every manifest carries it: Markdown. `signer`: the public key line to believe. */
export async function runbookText(policy: Policy, signer: string): Promise<string> {
  const script = (await scriptObject()).sha256;
  return documentAsMarkdown(runbook(runbookFacts(policy, { signer, script })));
}

async function loadNamed(wanted: string | undefined, context: AppContext): Promise<LoadedPolicy> {
  return loadPolicy(await findPolicy(wanted, { fromEnv: context.env["DROPS_POLICY"], dirs: POLICY_DIRS }));
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
    throw new DropsError("key/missing", "where the recovery identity lies is not said", {
      hint: "--identity recovery-identity.txt",
    });
  }
  const { identities, trustedSigners } = await readIdentityFile(file);
  const recipients = await recipientsOf(identities);
  const index = recipients.findIndex((recipient) => wanted.includes(recipient));
  const [identity, recipient] = [identities[index], recipients[index]];
  if (identity !== undefined && recipient !== undefined) return { identity, recipient, trustedSigners };
  throw new DropsError("key/wrong", `${file} does not open what policy ${policy.name} backs up`, {
    hint: `give the identity of ${wanted.join(" or ")}`,
  });
}

/** The key that signs here; on a machine without it the policy's, or the one that the identity file carries. */
async function signerOf(policy: Policy, carried: readonly string[]): Promise<string> {
  try {
    return (await loadSigner(policy.keys.signing_key_file)).publicKey;
  } catch (error) {
    const known = policy.keys.trusted_signers[0] ?? carried[0];
    if (known !== undefined && isFailure(error, "key/missing")) return known;
    throw error;
  }
}

async function scriptObject(): Promise<{ key: string; bytes: Buffer; sha256: string }> {
  const script = (await recoveryObjects()).find(({ key }) => key.endsWith(".sh"));
  if (!script) throw new Error("recover.sh is not among the recovery objects");
  return { ...script, sha256: hash("sha256", script.bytes, "hex") };
}

/** The repository's id, and this version's script in the store: a sheet that names one which is not there is worth little. */
async function askStore(
  policy: Policy,
  signer: string,
  script: { readonly key: string; readonly bytes: Buffer },
  context: AppContext,
  how: Cancel,
): Promise<Pick<SheetReport, "repositoryId" | "scriptInStore" | "notes">> {
  try {
    await using store = await openStore(policy.store, context);
    const repository = await readRepository(store, { signers: [signer], allowUnsigned: false }, how);
    const note = await putScript(store, script, how);
    const notes = note === undefined ? [] : [note];
    return { repositoryId: repository.id, scriptInStore: note === undefined, notes };
  } catch (error) {
    if (!isFailure(error) || isFailure(error, "interrupted", "signature/untrusted")) throw error;
    const note = `the store was not asked: ${messageOf(error)}; make the sheet again when it answers, so that its repository id is on it and recover.sh is there`;
    return { scriptInStore: false, notes: [note] };
  }
}

/** Answers why it could not be put. */
async function putScript(
  store: BlobWriter,
  { key, bytes }: { readonly key: string; readonly bytes: Buffer },
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

async function authorityOf(policy: Policy): Promise<string | undefined> {
  const file = "s3" in policy.store ? policy.store.s3.ca_file : undefined;
  if (file === undefined) return undefined;
  const bytes = await readFile(file).catch((cause: unknown) => {
    throw new DropsError("key/missing", `cannot read the certificate authority ${file}`, { cause });
  });
  return hash("sha256", bytes, "hex");
}

/** Of a policy file, or of the policy in the newest snapshot of a store. */
async function factsOf(
  options: RunbookOptions & Cancel,
  script: string,
  context: AppContext,
): Promise<RunbookFacts> {
  const { access } = options;
  const loaded = await policyOf(access, context);
  if (loaded) {
    const carried = await Promise.all(access.identities.map(readIdentityFile));
    const signer = await signerOf(loaded.policy, [
      ...(await Promise.all(access.trustedSigners.map(publicKeyOf))),
      ...carried.flatMap(({ trustedSigners }) => trustedSigners),
    ]);
    return runbookFacts(loaded.policy, { signer, script });
  }
  const opened = await openAccess(access, undefined, context);
  await using store = opened.store;
  const { snapshots, repository: _, policyName } = await openCatalog(opened.parts, options);
  const newest = snapshots.findLast(
    ({ record, signer }) => record.state === "complete" && signer !== undefined,
  );
  const source = newest?.record.sources.find(({ manifest }) => manifest);
  if (!newest?.signer || !source) {
    throw new DropsError(
      "snapshot/missing",
      `no complete, signed snapshot of ${policyName} in ${store.label}`,
      {
        hint: "drops runbook --general prints the general form",
      },
    );
  }
  const { head, entries } = await openSource(store, newest.record, source, opened.parts.identities, options);
  await entries.return(undefined);
  const { policy } = parsePolicy(head.policy_text, "the policy in the snapshot");
  const place = access.store === undefined ? policy.store : parseStoreUrl(access.store);
  return { ...runbookFacts(policy, { signer: newest.signer, script }), store: place };
}
