/** `drops drill`: the verb, its evidence, and what this machine brings to it. */
import { readdir } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { delimiter, isAbsolute, join } from "node:path";
import type { AppContext, DrillOptions } from "./cli/app.ts";
import type { DrillReport } from "./cli/outputs.ts";
import type { DrillResult } from "./drill/drill.ts";
import { openLocalHost } from "./host/local.ts";
import type { Cancel } from "./lib/cancel.ts";
import { DropsError } from "./lib/errors.ts";
import { PackPool } from "./pack/pool.ts";
import { type LoadedPolicy, loadPolicy } from "./policy/load.ts";
import type { ReadParts } from "./restore/choose.ts";
import { loadSigner, type Signer } from "./seal/sshsig.ts";
import type { BlobStore } from "./store/blob-store.ts";

/** Where distributions keep PostgreSQL's servers, which are not on PATH as a rule. */
const SERVER_ROOTS = ["/usr/lib/postgresql", "/usr/pgsql", "/opt/homebrew/opt/postgresql"];
const SYSTEM_BIN = "/run/current-system/sw/bin";

interface DrillAccess {
  readonly parts: ReadParts;
  readonly store: BlobStore;
  readonly policy: LoadedPolicy | undefined;
}

/** Drill, and write down what it proved. The key is looked for first: a drill of an hour without evidence helps nobody. */
export async function drillRepository(
  access: DrillAccess,
  context: AppContext,
  options: DrillOptions & Cancel,
): Promise<DrillReport> {
  if (options.publish && options.evidence === undefined) {
    throw new DropsError("usage/invalid", "only evidence that is written can be published", {
      hint: "--evidence DIRECTORY --publish",
    });
  }
  const signer =
    options.evidence === undefined ? undefined : await evidenceSigner(access.policy, options.signingKey);
  const policy = options.checksFrom === undefined ? access.policy : await loadPolicy(options.checksFrom);
  const result = await drillHere({ ...access, policy }, context, options);
  const notes = [...result.book.notes];
  const sharesKey = signer && options.signingKey === undefined;
  if (sharesKey)
    notes.push("the evidence is signed with the policy's signing key: a backup host could write it too");
  const evidence = signer && (await writeDown(access, context, options, { result, signer }));
  if (!evidence) notes.push("no evidence was written: --evidence DIRECTORY");
  return { ...reportOf(access.parts, result, options), ...(evidence ? { evidence } : {}), notes };
}

async function drillHere(
  { parts, policy }: DrillAccess,
  context: AppContext,
  options: DrillOptions & Cancel,
): Promise<DrillResult> {
  const { runDrill } = await import("./drill/drill.ts");
  await using pool = new PackPool(Math.min(2, availableParallelism()));
  await using host = await openLocalHost();
  const path = context.env["PATH"];
  const directories =
    options.postgresBin === undefined ? await programDirectories(path) : [options.postgresBin];
  const drillParts = {
    ...parts,
    pool,
    host,
    policy,
    path,
    programDirectories: directories,
    node: process.execPath,
  };
  return await runDrill(drillParts, options, options);
}

async function writeDown(
  { parts, store }: DrillAccess,
  context: AppContext,
  options: DrillOptions & Cancel,
  { result, signer }: { readonly result: DrillResult; readonly signer: Signer },
): Promise<NonNullable<DrillReport["evidence"]>> {
  const { evidence: directory = "", publish } = options;
  const { encodeEvidence, evidenceOf } = await import("./drill/evidence.ts");
  const { writeEvidence } = await import("./drill/evidence-directory.ts");
  const { merged, newestOf, readEvidence, readPublished } = await import("./drill/earlier-evidence.ts");
  const { repository, policy } = result.chosen.snapshot.record;
  const trust = { signers: [signer.publicKey], allowUnsigned: false };
  const place = { repository, policy };
  const published = publish ? await readPublished(store, place, trust, options) : [];
  const earlier = merged(await readEvidence(directory, place, trust), published);
  const tool = `drops ${context.version}`;
  const evidence = evidenceOf(result, { tool, previous: newestOf(earlier) });
  const files = await writeEvidence(directory, evidence, { signer, earlier, zone: parts.zone });
  const believed = earlier.filter(({ refused }) => refused === undefined).length;
  const written = { ...files, earlier: believed };
  if (!publish) return written;
  const { publishEvidence } = await import("./drill/publish.ts");
  const key = await publishEvidence(store, evidence, encodeEvidence(evidence), signer, options);
  return { ...written, published: key };
}

function reportOf(parts: ReadParts, result: DrillResult, options: DrillOptions): Omit<DrillReport, "notes"> {
  const { chosen, book, restored, sandbox } = result;
  const { id, state, started, ended } = chosen.snapshot.record;
  return {
    policy: chosen.policyName,
    store: parts.store.label,
    zone: parts.zone,
    snapshot: { id, state, started, ended, signature: chosen.signature },
    verdict: result.verdict,
    whole: result.whole,
    checks: book.checks,
    notTested: book.notTested,
    objectives: { ...result.objectives },
    ...restored,
    sandbox: { user: sandbox.user, network: sandbox.network !== undefined },
    seconds: (result.ended.getTime() - result.began.getTime()) / 1000,
    ...(options.keep ? { work: result.work } : {}),
  };
}

async function evidenceSigner(policy: LoadedPolicy | undefined, file: string | undefined): Promise<Signer> {
  const path = file ?? policy?.policy.keys.signing_key_file;
  if (path !== undefined) return loadSigner(path);
  throw new DropsError("key/missing", "no key is given to sign the evidence with", {
    hint: "ssh-keygen -t ed25519 -N '' -f drill-key, then --signing-key drill-key",
  });
}

/** PATH first, then the places of distributions. */
async function programDirectories(path: string | undefined): Promise<string[]> {
  const found = (path ?? "").split(delimiter).filter((directory) => isAbsolute(directory));
  for (const root of SERVER_ROOTS) {
    const versions = await readdir(root).catch(() => []); // most machines have at most one of these
    found.push(...versions.map((version) => join(root, version, "bin")));
  }
  return [...found, SYSTEM_BIN];
}
