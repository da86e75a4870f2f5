/** `drops verify`: the verb, which part of the data is its turn, and what is left behind for others to know. */
import { openLocalHost } from "../host/local.ts";
import type { Cancel } from "../lib/cancel.ts";
import type { AppContext } from "../lib/context.ts";
import { DropsError, isFailure } from "../lib/errors.ts";
import { milliseconds } from "../lib/units.ts";
import { type PackPool, readingPool } from "../pack/pool.ts";
import type { Policy } from "../policy/schema.ts";
import { openCatalog, type ReadParts } from "../restore/choose.ts";
import type { Signer } from "../seal/sshsig.ts";
import type { BlobStore } from "../store/blob-store.ts";
import { ownKeyOfVerify, signerOfEvidence } from "../trust/evidence-signer.ts";
import { trusting } from "../trust/trust.ts";
import { coveredBy, newestVerify, publishVerify, readVerifies, verifyEvidenceOf } from "./evidence.ts";
import { markDamaged } from "./mark-damaged.ts";
import type { VerifyOptions, VerifyReport } from "./report.ts";
import { coverageOf, oldestPlace, RING } from "./rotation.ts";
import { type ReadData, type VerifyResult, verifyRepository } from "./verify.ts";

/** What the routine reads where the policy says nothing, and how often it is then taken to run. */
const ROUTINE_PERCENT = 5;
const ROUTINE_EVERY = "8d";

interface VerifyAccess {
  readonly parts: ReadParts;
  readonly store: BlobStore;
  readonly policy: Policy | undefined;
}

type Previous = ReturnType<typeof newestVerify>;

/** Verify, and with `publish` or in the routine mark what is damaged and sign what was found. */
export async function verifyWithEvidence(
  access: VerifyAccess,
  context: AppContext,
  options: VerifyOptions & Cancel,
): Promise<VerifyReport> {
  const { parts, policy } = access;
  const how = { signal: options.signal };
  const notes: string[] = [];
  const signer = await signerFor(access, options, notes);
  const previous = await previousOf(access, options, signer, notes, how);
  const began = context.now();
  await using pool = readingPool();
  const progress = context.reporter.progress("verify");
  try {
    const onRead = (done: number, total: number) => progress.update(done, total);
    const working = { ...parts, pool, checker: access.store, onRead };
    const result = await lookAt(working, policy, options, previous, notes, how);
    const sources = options.sources ? await verdicts({ ...parts, pool }, options) : [];
    const view = reportOf(parts, result, shareOf(options, policy), sources);
    const covered = coveredBy(result, previous?.evidence.covered ?? [], began.toISOString());
    const left = signer
      ? await leaveBehind(access, result, { signer, previous, began, context, options, notes }, how)
      : {};
    return {
      ...view,
      ...(options.choice ? {} : { coverage: coverageView(covered, result, policy, context.now()) }),
      ...left,
      notes: [...view.notes, ...notes],
    };
  } finally {
    progress.done();
  }
}

/** The key is looked for first: a verify of hours that nobody learns of helps nobody. */
async function signerFor(
  { policy, parts }: VerifyAccess,
  { publish, routine, signingKey }: VerifyOptions,
  notes: string[],
): Promise<Signer | undefined> {
  if (!publish && !routine) return undefined;
  try {
    const signer = await signerOfEvidence("verify", policy, signingKey, parts.trust);
    if (signingKey === undefined && ownKeyOfVerify(policy) === undefined)
      notes.push("the evidence is signed with the policy's signing key: a backup host could write it too");
    return signer;
  } catch (error) {
    if (publish || !isFailure(error, "key/missing")) throw error;
    notes.push(`nothing was published: ${error.message}`);
    return undefined;
  }
}

/** The newest verify that is believed; what it read before this one says where to go on. */
async function previousOf(
  { parts }: VerifyAccess,
  options: VerifyOptions,
  signer: Signer | undefined,
  notes: string[],
  how: Cancel,
): Promise<Previous> {
  if (options.choice) return undefined;
  const { verify } = parts.trust.signers;
  const believed = trusting(parts.trust, "verify", signer ? [...verify, signer.publicKey] : verify);
  try {
    const { repository, policyName } = await openCatalog(parts, how);
    const place = { repository: repository.id, policy: policyName };
    const found = await readVerifies(parts.store, place, believed, how);
    notes.push(...found.flatMap(({ refused }) => (refused === undefined ? [] : [`not trusted: ${refused}`])));
    return newestVerify(found);
  } catch (error) {
    if (!isFailure(error, "store/refused")) throw error;
    notes.push(`what earlier verifies read is not known: ${error.message}`);
    return undefined;
  }
}

async function lookAt(
  parts: Parameters<typeof verifyRepository>[0],
  policy: Policy | undefined,
  options: VerifyOptions,
  previous: Previous,
  notes: string[],
  how: Cancel,
): Promise<VerifyResult> {
  const { choice, independent } = options;
  if (independent && parts.identities.length === 0)
    throw new DropsError("key/missing", "--independent needs an identity, because it opens packs", {
      hint: "--identity FILE",
    });
  const what = { choice, independent, objects: options.objects || options.routine };
  const read = readOf(options, policy, previous, notes);
  try {
    return await verifyRepository(parts, { ...what, read }, how);
  } catch (error) {
    const isOptional = options.routine && policy?.verify.read_percent === undefined;
    if (!isOptional || !isFailure(error, "store/refused")) throw error;
    notes.push(`no data was read back: ${error.message}; verify.read_percent in the policy insists on it`);
    return await verifyRepository(parts, { ...what, read: undefined }, how);
  }
}

/** A share goes on where earlier ones ended; without any it begins anywhere. */
function readOf(
  options: VerifyOptions,
  policy: Policy | undefined,
  previous: Previous,
  notes: string[],
): ReadData {
  if (options.readPart) return options.readPart;
  const share = shareOf(options, policy);
  if (share === 0) return undefined;
  if (share >= 1) return { share: 1, from: 0 };
  const from = oldestPlace(previous?.evidence.covered ?? []);
  if (from !== undefined) return { share, from };
  if (!options.choice && !options.publish && !options.routine)
    notes.push(
      "this share began anywhere: only published verifies (--publish) go on where the last one ended; or read --read-data 1/20, 2/20, …",
    );
  return { share, from: Math.floor(Math.random() * RING) };
}

function shareOf(options: VerifyOptions, policy: Policy | undefined): number {
  if (options.readPart) return 1 / options.readPart.of;
  if (!options.routine || options.readShare !== undefined) return options.readShare ?? 0;
  return (policy?.verify.read_percent ?? ROUTINE_PERCENT) / 100;
}

interface Leaving {
  readonly signer: Signer;
  readonly previous: Previous;
  readonly began: Date;
  readonly context: AppContext;
  readonly options: VerifyOptions;
  readonly notes: string[];
}

/** Marks first: they are what the next backup heeds. */
async function leaveBehind(
  { store }: VerifyAccess,
  result: VerifyResult,
  { signer, previous, began, context, options, notes }: Leaving,
  how: Cancel,
): Promise<Pick<VerifyReport, "evidence">> {
  try {
    const marked = await markDamaged(store, result, { ...how, signer, at: context.now() });
    const tool = `drops ${context.version}`;
    const evidence = verifyEvidenceOf(result, { tool, began, ended: context.now(), previous });
    return { evidence: { key: await publishVerify(store, evidence, signer, how), marked } };
  } catch (error) {
    if (options.publish || !isFailure(error, "store/refused")) throw error;
    notes.push(`nothing was published: ${error.message}`);
    return {};
  }
}

/** How much of all data was read back, since when, and when the rest will have been at this pace. */
function coverageView(
  covered: Parameters<typeof coverageOf>[0],
  { arc, checked }: VerifyResult,
  policy: Policy | undefined,
  now: Date,
): NonNullable<VerifyReport["coverage"]> {
  const { share, since } = coverageOf(covered);
  const pace = checked?.from === "bytes" ? 1 : (arc?.span ?? 0) / RING;
  if (since !== undefined || pace === 0) return { share, ...(since === undefined ? {} : { since }) };
  const runsLeft = Math.ceil((1 - share) / pace - 1e-9);
  if (policy === undefined) return { share, runsLeft };
  const by = new Date(now.getTime() + runsLeft * milliseconds(policy.verify.every ?? ROUTINE_EVERY));
  return { share, runsLeft, by: by.toISOString() };
}

async function verdicts(
  parts: ReadParts & { readonly pool: PackPool },
  what: VerifyOptions & Cancel,
): Promise<VerifyReport["sources"]> {
  const { verifySources } = await import("./verify-sources.ts");
  return verifySources(
    { ...parts, openHost: openLocalHost },
    { choice: what.choice ?? { date: "latest" } },
    what,
  );
}

/** One snapshot is not all of them: evidence of it would say too much. Throws usage/invalid. */
export function refusePartial({ choice, publish, routine }: VerifyOptions): void {
  if (choice === undefined || (!publish && !routine)) return;
  throw new DropsError("usage/invalid", "--publish and --routine need a verify of all snapshots", {
    hint: "leave out the snapshot, or leave out --publish and --routine",
  });
}

function reportOf(
  parts: ReadParts,
  result: VerifyResult,
  readShare: number,
  sources: VerifyReport["sources"],
): VerifyReport {
  const { policyName, snapshots, damage, notes, checked, objects, objectBytes } = result;
  const { packsRead, bytesRead, opened, independent, seconds } = result;
  return {
    ...{ objects, objectBytes, readShare, packsRead, bytesRead, opened, seconds },
    ...(checked
      ? { checksums: { from: checked.from, compared: checked.compared, sizeOnly: checked.sizeOnly } }
      : {}),
    ...(independent ? { independent } : {}),
    policy: policyName,
    store: parts.store.label,
    zone: parts.zone,
    snapshots: snapshots.map(({ snapshot: { record }, signature, intact }) => {
      return { id: record.id, ended: record.ended, state: record.state, signature, intact };
    }),
    sources,
    damage: damage.map(({ key, problem, snapshots: hurt }) => ({ key, problem, snapshots: hurt })),
    notes,
  };
}
