/** `drops drill`: the verb, its evidence, and what this machine brings to it. */
import { readdir } from "node:fs/promises";
import { delimiter, isAbsolute, join } from "node:path";
import { openLocalHost } from "../host/local.ts";
import type { Cancel } from "../lib/cancel.ts";
import type { AppContext } from "../lib/context.ts";
import { DropsError } from "../lib/errors.ts";
import { readingPool } from "../pack/pool.ts";
import { type LoadedPolicy, loadPolicy } from "../policy/load.ts";
import { aboutChosen, type ReadParts } from "../restore/choose.ts";
import type { Signer } from "../seal/sshsig.ts";
import type { BlobStore } from "../store/blob-store.ts";
import { signerOfEvidence } from "../trust/evidence-signer.ts";
import { trusting } from "../trust/trust.ts";
import type { DrillResult } from "./drill.ts";
import type { DrillOptions, DrillReport } from "./report.ts";

/** Where distributions keep PostgreSQL's servers, which are not on PATH as a rule. */
const SERVER_ROOTS = ["/usr/lib/postgresql", "/usr/pgsql", "/opt/homebrew/opt/postgresql"];
const SYSTEM_BIN = "/run/current-system/sw/bin";

export interface DrillAccess {
  readonly parts: ReadParts;
  readonly store: BlobStore;
  readonly policy: LoadedPolicy | undefined;
  /** Drill the guided restore on that machine. */
  readonly onHost: (on: string) => Promise<DrillResult>;
}

/** Drill, and write down what it proved. Key and place are looked for first: a drill of an hour without evidence helps nobody. */
export async function drillRepository(
  access: DrillAccess,
  context: AppContext,
  options: DrillOptions & Cancel,
): Promise<DrillReport> {
  if (options.publish && options.evidence === undefined) {
    throw new DropsError("usage/invalid", "--publish needs --evidence", {
      hint: "--evidence DIRECTORY --publish",
    });
  }
  const signer =
    options.evidence === undefined
      ? undefined
      : await signerOfEvidence("drill", access.policy?.policy, options.signingKey, access.parts.trust);
  const directory = options.evidence && (await evidencePlace(options.evidence));
  const policy = options.checksFrom === undefined ? access.policy : await loadPolicy(options.checksFrom);
  const result =
    options.on === undefined
      ? await drillHere({ ...access, policy }, context, options)
      : await access.onHost(options.on);
  const notes = [...result.book.notes];
  const sharesKey = signer && options.signingKey === undefined;
  if (sharesKey)
    notes.push("the evidence is signed with the policy's signing key: a backup host could write it too");
  const evidence =
    signer && directory && (await writeDown(access, context, options, { result, signer, directory }));
  if (!evidence) notes.push("no evidence was written: --evidence DIRECTORY");
  return { ...reportOf(access.parts, result, options), ...(evidence ? { evidence } : {}), notes };
}

async function drillHere(
  { parts, policy }: DrillAccess,
  context: AppContext,
  options: DrillOptions & Cancel,
): Promise<DrillResult> {
  const { runDrill } = await import("./drill.ts");
  await using pool = readingPool();
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
  what: { readonly result: DrillResult; readonly signer: Signer; readonly directory: string },
): Promise<NonNullable<DrillReport["evidence"]>> {
  const { publish } = options;
  const { result, signer, directory } = what;
  const { encodeEvidence, evidenceOf } = await import("./evidence.ts");
  const { writeEvidence } = await import("./evidence-directory.ts");
  const { merged, newestOf, readEvidence, readPublished } = await import("./earlier-evidence.ts");
  const { repository, policy } = result.chosen.snapshot.record;
  const trust = trusting(parts.trust, "drill", [signer.publicKey]);
  const place = { repository, policy };
  const published = publish ? await readPublished(store, place, trust, options) : [];
  const earlier = merged(await readEvidence(directory, place, trust, options), published);
  const tool = `drops ${context.version}`;
  const evidence = evidenceOf(result, { tool, previous: newestOf(earlier) });
  const files = await writeEvidence(directory, evidence, { signer, earlier, zone: parts.zone });
  const believed = earlier.filter(({ refused }) => refused === undefined).length;
  const written = { ...files, earlier: believed };
  if (!publish) return written;
  const { publishEvidence } = await import("./publish.ts");
  const key = await publishEvidence(store, evidence, encodeEvidence(evidence), signer, options);
  return { ...written, published: key };
}

function reportOf(parts: ReadParts, result: DrillResult, options: DrillOptions): Omit<DrillReport, "notes"> {
  const { chosen, book, restored, sandbox } = result;
  return {
    ...aboutChosen(parts, chosen),
    verdict: result.verdict,
    whole: result.whole,
    checks: book.checks,
    notTested: book.notTested,
    objectives: result.objectives,
    ...restored,
    ...(result.on === undefined ? {} : { on: result.on }),
    sandbox: { user: sandbox.user, network: sandbox.network !== undefined },
    seconds: (result.ended.getTime() - result.began.getTime()) / 1000,
    ...(options.keep ? { work: result.work } : {}),
  };
}

async function evidencePlace(wanted: string): Promise<string> {
  const { openEvidenceDirectory } = await import("./evidence-directory.ts");
  return await openEvidenceDirectory(wanted);
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
