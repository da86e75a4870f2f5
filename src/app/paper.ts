/** What is printed: the recovery sheet and the runbook, from a policy or from a store and an identity alone. */
import { hash } from "node:crypto";
import { dirname, join, resolve } from "node:path";
import { recoveryObjects } from "../backup/recovery-objects.ts";
import type { Cancel } from "../lib/cancel.ts";
import type { AppContext } from "../lib/context.ts";
import { DropsError } from "../lib/errors.ts";
import { readText } from "../lib/read-at-most.ts";
import { documentAsMarkdown } from "../paper/as-markdown.ts";
import { documentAsPage } from "../paper/as-page.ts";
import { documentAsText } from "../paper/as-text.ts";
import type { RunbookOptions, RunbookReport, SheetOptions, SheetReport } from "../paper/report.ts";
import { runbook } from "../paper/runbook.ts";
import { GENERAL, type RunbookFacts, runbookFacts } from "../paper/runbook-facts.ts";
import { recoverySheet } from "../paper/sheet.ts";
import { findPolicy, POLICY_DIRS } from "../policy/find.ts";
import { type LoadedPolicy, loadPolicy, parsePolicy } from "../policy/load.ts";
import type { Policy } from "../policy/schema.ts";
import { wallTime } from "../policy/zone.ts";
import { chooseSnapshot } from "../restore/choose.ts";
import { openSource } from "../restore/open-source.ts";
import { writeAllOrNone } from "../seal/new-files.ts";
import { readIdentityFile, recipientsOf } from "../seal/recipients.ts";
import { recoveryRecipients } from "../seal/recovery-recipients.ts";
import { checkPublicKey } from "../seal/ssh-key.ts";
import { fingerprint, loadSigner } from "../seal/sshsig.ts";
import { sameDisk } from "../source/same-disk.ts";
import { parseStoreUrl } from "../store/store-url.ts";
import { ownKeys } from "../trust/own-keys.ts";
import { distinctSigners, type Signers } from "../trust/signers-file.ts";
import { type Trust, trustOf } from "../trust/trust.ts";
import { openAccess, policyOf, signersGiven } from "./access.ts";
import { askStore, type Script } from "./sheet-store.ts";

const NOBODY: Signers = { signers: [], revoked: [] };

/**
 * The recovery sheet of a policy as text and as a page, 0600, into `to`. When the store can be reached its repository's id
 * is on it, and this version's recover.sh is put there if it is not.
 *
 * @throws DropsError key/missing, key/wrong when the identity is not the policy's, safety/refused when a file exists
 */
export async function makeSheet(options: SheetOptions & Cancel, context: AppContext): Promise<SheetReport> {
  const { policy } = await loadNamed(options.policy, context);
  const { identity, recipient, trustedSigners } = await recoveryIdentity(policy, options.identity);
  const believed = await believedBy(policy, trustedSigners);
  const script = await scriptObject();
  const asked = await askStore(policy, believed, script, context, options);
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

/** The plan of a policy as every manifest carries it: Markdown, with whom the backup itself believes. */
export async function runbookText(policy: Policy, trust: Trust): Promise<string> {
  const script = (await scriptObject()).sha256;
  return documentAsMarkdown(runbook(runbookFacts(policy, { ...signersOf(trust), script })));
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

/**
 * Whom the policy believes: the key that signs here, and those that it names. Where there is neither, as on a machine that only
 * reads, those that the identity file carries.
 *
 * @throws DropsError key/missing when nobody is known, key/wrong when what the policy names is no key
 */
async function believedBy(
  policy: Policy,
  carried: readonly string[],
  given: Signers = NOBODY,
): Promise<Signers> {
  for (const key of policy.keys.trusted_signers)
    checkPublicKey(key, `keys.trusted_signers of policy ${policy.name}`);
  const own = await ownKeys(policy);
  const isKnown = own.signing !== undefined || policy.keys.trusted_signers.length + given.signers.length > 0;
  const { revoked } = given;
  const trust = trustOf(policy, { signers: isKnown ? given.signers : carried, revoked, own });
  const isNobody = !isKnown && carried.length + trust.revoked.length === 0;
  if (isNobody) await loadSigner(policy.keys.signing_key_file); // says that it is not there
  return signersOf(trust);
}

function signersOf({ signers: { snapshot }, revoked }: Trust): Signers {
  return { signers: distinctSigners(snapshot), revoked };
}

async function scriptObject(): Promise<Script & { readonly sha256: string }> {
  const script = (await recoveryObjects()).find(({ key }) => key.endsWith(".sh"));
  if (!script) throw new Error("recover.sh is not among the recovery objects");
  return { ...script, sha256: hash("sha256", script.bytes, "hex") };
}

async function authorityOf(policy: Policy): Promise<string | undefined> {
  const file = "s3" in policy.store ? policy.store.s3.ca_file : undefined;
  if (file === undefined) return undefined;
  const bytes = await readText(file).catch((cause: unknown) => {
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
    const files = await Promise.all(access.identities.map(readIdentityFile));
    const carried = files.flatMap(({ trustedSigners }) => trustedSigners);
    const believed = await believedBy(loaded.policy, carried, await signersGiven(access.trustedSigners));
    return runbookFacts(loaded.policy, { ...believed, script });
  }
  const opened = await openAccess(access, undefined, context);
  await using store = opened.store;
  const chosen = await chooseSnapshot({ ...opened.parts, zone: "UTC" }, { date: "latest" }, options);
  const { snapshot: newest, policyName } = chosen;
  const source = newest.record.sources.find(({ manifest }) => manifest);
  if (newest.signer === undefined || !source) {
    throw new DropsError("snapshot/missing", `no signed snapshot of ${policyName} in ${store.label}`, {
      hint: "drops runbook --general prints the general form",
    });
  }
  const { head, entries } = await openSource(store, newest.record, source, opened.parts.identities, options);
  await entries.return(undefined);
  const { policy } = parsePolicy(head.policy_text, "the policy in the snapshot");
  const place = access.store === undefined ? policy.store : parseStoreUrl(access.store);
  const { trust } = opened.parts;
  // Those that the asker named, the newest first: what a manifest says of keys is not asked.
  const signers = [newest.signer, ...trust.signers.snapshot];
  const believed = signersOf(trustOf(undefined, { signers, revoked: trust.revoked }));
  return { ...runbookFacts(policy, { ...believed, script }), store: place };
}
