/** The runbook of a policy, of a store or in general, in one of its forms. */
import { dirname, resolve } from "node:path";
import type { ReadAccess } from "../lib/access.ts";
import type { Cancel } from "../lib/cancel.ts";
import { DropsError } from "../lib/errors.ts";
import { parsePolicy } from "../policy/load.ts";
import type { Policy } from "../policy/schema.ts";
import { chooseSnapshot, type ReadParts } from "../restore/choose.ts";
import { openHead } from "../restore/open-source.ts";
import { writeAllOrNone } from "../seal/new-files.ts";
import { readIdentityFile } from "../seal/recipients.ts";
import { parseStoreUrl } from "../store/store-url.ts";
import { signersGiven } from "../trust/signers-given.ts";
import { type Trust, trustOf } from "../trust/trust.ts";
import { documentAsMarkdown } from "./as-markdown.ts";
import { documentAsPage } from "./as-page.ts";
import { documentAsText } from "./as-text.ts";
import { believedBy, scriptObject, signersOf } from "./believed.ts";
import type { RunbookOptions, RunbookReport } from "./report.ts";
import { runbook } from "./runbook.ts";
import { GENERAL, type RunbookFacts, runbookFacts } from "./runbook-facts.ts";

/** @param factsOf asked unless the general form is wanted; `script` is recover.sh's SHA-256 */
export async function makeRunbook(
  options: RunbookOptions,
  factsOf: (script: string) => Promise<RunbookFacts>,
): Promise<RunbookReport> {
  const script = (await scriptObject()).sha256;
  const facts = options.general ? GENERAL : await factsOf(script);
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

/** Of a policy file. */
export async function factsOfPolicy(
  policy: Policy,
  access: ReadAccess,
  script: string,
): Promise<RunbookFacts> {
  const files = await Promise.all(access.identities.map(readIdentityFile));
  const carried = files.flatMap(({ trustedSigners }) => trustedSigners);
  const believed = await believedBy(policy, carried, await signersGiven(access.trustedSigners));
  return runbookFacts(policy, { ...believed, script });
}

/** Of the policy in the newest snapshot of a store. */
export async function factsOfStore(
  parts: ReadParts,
  access: ReadAccess,
  script: string,
  how: Cancel,
): Promise<RunbookFacts> {
  const chosen = await chooseSnapshot(parts, { date: "latest" }, how);
  const { snapshot: newest, policyName } = chosen;
  const source = newest.record.sources.find(({ manifest }) => manifest);
  if (newest.signer === undefined || !source) {
    throw new DropsError("snapshot/missing", `no signed snapshot of ${policyName} in ${parts.store.label}`, {
      hint: "drops runbook --general  prints the general runbook",
    });
  }
  const { head } = await openHead(parts, newest.record, source, how);
  const { policy } = parsePolicy(head.policy_text, "the policy in the snapshot");
  const place = access.store === undefined ? policy.store : parseStoreUrl(access.store);
  const { trust } = parts;
  // Those that the asker named, the newest first: what a manifest says of keys is not asked.
  const signers = [newest.signer, ...trust.signers.snapshot];
  const believed = signersOf(trustOf(undefined, { signers, revoked: trust.revoked }));
  return { ...runbookFacts(policy, { ...believed, script }), store: place };
}
