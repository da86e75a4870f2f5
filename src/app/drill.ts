/** `drops drill`: the verb, its evidence, and what this machine brings to it. */
import { lookup } from "node:dns/promises";
import { readdir } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { delimiter, isAbsolute, join } from "node:path";
import type { ReadAccess } from "../cli/app.ts";
import type { DrillResult } from "../drill/drill.ts";
import type { OutsidePlace } from "../drill/egress.ts";
import type { DrillOptions, DrillReport } from "../drill/report.ts";
import { openLocalHost } from "../host/local.ts";
import type { Cancel } from "../lib/cancel.ts";
import type { AppContext } from "../lib/context.ts";
import { DropsError } from "../lib/errors.ts";
import { PackPool } from "../pack/pool.ts";
import { type LoadedPolicy, loadPolicy } from "../policy/load.ts";
import type { Policy } from "../policy/schema.ts";
import type { ReadParts } from "../restore/choose.ts";
import type { Signer } from "../seal/sshsig.ts";
import type { BlobStore } from "../store/blob-store.ts";
import { trusting } from "../trust/trust.ts";
import { signerOfEvidence } from "./evidence.ts";

/** Where distributions keep PostgreSQL's servers, which are not on PATH as a rule. */
const SERVER_ROOTS = ["/usr/lib/postgresql", "/usr/pgsql", "/opt/homebrew/opt/postgresql"];
const SYSTEM_BIN = "/run/current-system/sw/bin";

interface DrillAccess {
  readonly parts: ReadParts;
  readonly store: BlobStore;
  readonly policy: LoadedPolicy | undefined;
  /** As the command line gave it, for the guided restore of a drill on a host. */
  readonly access: ReadAccess;
}

/** Drill, and write down what it proved. Key and place are looked for first: a drill of an hour without evidence helps nobody. */
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
    options.evidence === undefined
      ? undefined
      : await signerOfEvidence("drill", access.policy?.policy, options.signingKey, access.parts.trust);
  const directory = options.evidence && (await evidencePlace(options.evidence));
  const policy = options.checksFrom === undefined ? access.policy : await loadPolicy(options.checksFrom);
  const result =
    options.on === undefined
      ? await drillHere({ ...access, policy }, context, options)
      : await drillOnHost(access, options.on, context, options);
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
  const { runDrill } = await import("../drill/drill.ts");
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

async function drillOnHost(
  { parts, policy: loaded, access }: DrillAccess,
  on: string,
  context: AppContext,
  options: DrillOptions & Cancel,
): Promise<DrillResult> {
  const { runHostDrill } = await import("../drill/on-host.ts");
  const { hostOf, targetOf } = await import("./target.ts");
  const { addressed, openHost } = await import("./host.ts");
  const policy = loaded && { policy: loaded.policy, sha256: loaded.sha256, fromSnapshot: false };
  const place = { host: on, sshKey: options.sshKey, hostKey: options.hostKey };
  const target = await targetOf(place, loaded?.policy.host);
  const production = loaded && (await addressed(loaded.policy.host, context, options));
  const outside = await productionPlaces(production);
  refuseProduction(await addressed(hostOf(target), context, options), production);
  await using host = await openHost(hostOf(target), context, options);
  const restore = async (id: string, how: Cancel) => {
    const { openGuided } = await import("./guided.ts");
    await using guided = await openGuided({ ...access, ...place }, context);
    const consent = { fenced: true, yes: true, prompt: undefined };
    const what = { choice: { id }, only: options.only, steps: [], dryRun: false, resume: undefined };
    return await guided.restore({ ...how, ...consent, ...what });
  };
  return await runHostDrill({ ...parts, host, policy, outside, restore }, options, options);
}

/** The backed-up machine is where nothing may be drilled. Throws safety/refused. */
function refuseProduction(target: Policy["host"], host: Policy["host"] | undefined): void {
  const isSame =
    target === "local" || (host !== undefined && host !== "local" && host.ssh.address === target.ssh.address);
  if (!isSame) return;
  throw new DropsError(
    "safety/refused",
    "a drill replaces what is on its machine: this one is not thrown away",
    {
      hint: "--on with the address of a throwaway machine that has no way out",
    },
  );
}

/** Where the backed-up machine is, by address: what is restored must not reach it. */
async function productionPlaces(host: Policy["host"] | undefined): Promise<OutsidePlace[]> {
  if (host === undefined || host === "local") return [];
  const { address, port = 22 } = host.ssh;
  const found = await lookup(address, { all: true }).catch(() => []); // gone from the DNS: then there is no way to it
  return found.map((each) => ({ address: each.address, port }));
}

async function writeDown(
  { parts, store }: DrillAccess,
  context: AppContext,
  options: DrillOptions & Cancel,
  what: { readonly result: DrillResult; readonly signer: Signer; readonly directory: string },
): Promise<NonNullable<DrillReport["evidence"]>> {
  const { publish } = options;
  const { result, signer, directory } = what;
  const { encodeEvidence, evidenceOf } = await import("../drill/evidence.ts");
  const { writeEvidence } = await import("../drill/evidence-directory.ts");
  const { merged, newestOf, readEvidence, readPublished } = await import("../drill/earlier-evidence.ts");
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
  const { publishEvidence } = await import("../drill/publish.ts");
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
    ...(result.on === undefined ? {} : { on: result.on }),
    sandbox: { user: sandbox.user, network: sandbox.network !== undefined },
    seconds: (result.ended.getTime() - result.began.getTime()) / 1000,
    ...(options.keep ? { work: result.work } : {}),
  };
}

async function evidencePlace(wanted: string): Promise<string> {
  const { openEvidenceDirectory } = await import("../drill/evidence-directory.ts");
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
