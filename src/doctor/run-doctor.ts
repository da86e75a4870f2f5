/** `drops doctor`: everything that is looked at as one answer, and what others must know into the repository. */
import type { Cancel } from "../lib/cancel.ts";
import type { AppContext } from "../lib/context.ts";
import { type DropsError, isFailure } from "../lib/errors.ts";
import { hostWords } from "../policy/host-words.ts";
import type { StorePolicy } from "../policy/schema.ts";
import { loadSigner } from "../seal/sshsig.ts";
import { putFound, readProofs } from "../snapshot/finding.ts";
import { s3Label } from "../store/store-url.ts";
import { type Examination, examine } from "./doctor.ts";
import type { DoctorReport, Finding } from "./report.ts";
import type { Group } from "./types.ts";
import type { World } from "./world.ts";

/** What is known already is not written down again for so long. */
const FRESH_MS = 7 * 86_400_000;

/** @param groups of checks; empty means all */
export async function runDoctor(
  world: World,
  groups: readonly Group[],
  context: AppContext,
  how: Cancel,
): Promise<DoctorReport> {
  const { policy, origin } = world.loaded;
  context.reporter.say(`trying what backups of ${policy.name} depend on`);
  const found = await examine(world, groups, how);
  const { recorded, finding } = await record(world, found, context, how);
  const findings = [...found.findings, ...(finding ? [finding] : [])];
  const counted = (result: Finding["result"]) => findings.filter((one) => one.result === result).length;
  const counts = {
    ok: counted("ok"),
    warn: counted("warn"),
    unable: counted("unable"),
    fail: counted("fail"),
  };
  const { destroy, left } = found;
  return {
    policy: policy.name,
    origin,
    store: labelOf(policy.store),
    host: policy.host === "local" ? "this machine" : hostWords(policy.host.ssh),
    at: context.now().toISOString(),
    well: counts.fail + counts.unable === 0,
    counts,
    findings,
    ...(destroy ? { destroy } : {}),
    ...(recorded === undefined ? {} : { recorded }),
    left,
  };
}

function labelOf(store: StorePolicy): string {
  return "s3" in store ? s3Label(store.s3) : store.directory;
}

/** What others must know goes into the repository, unless it says so already. */
async function record(
  world: World,
  { destroy, recovery }: Examination,
  context: AppContext,
  how: Cancel,
): Promise<{ readonly recorded?: string; readonly finding?: Finding }> {
  if (!destroy && !recovery) return {};
  try {
    const [{ repository }, store, trust] = await Promise.all([world.records, world.store, world.trust]);
    const { policy } = world.loaded;
    const place = { repository: repository.id, policy: policy.name };
    const known = await readProofs(store, place, trust, how);
    const at = context.now();
    const young = (one: { readonly at: string } | undefined) =>
      one !== undefined && at.getTime() - Date.parse(one.at) < FRESH_MS;
    const isKnown = !destroy || (known.destroy?.answer === destroy.answer && young(known.destroy));
    if (!recovery && isKnown) return {};
    const signer = await loadSigner(policy.keys.signing_key_file);
    const found = { ...place, at: at.toISOString(), tool: `drops ${context.version}` };
    const more = { ...(destroy ? { destroy } : {}), ...(recovery ? { recovery } : {}) };
    return { recorded: await putFound(store, { ...found, ...more }, { ...how, signer }) };
  } catch (error) {
    if (!isFailure(error)) throw error;
    return { finding: notRecorded(error) };
  }
}

function notRecorded(error: DropsError): Finding {
  return {
    group: "store",
    check: "recorded",
    result: "warn",
    what: `what was proven could not be written down: ${error.message}`,
    why: "drops status says who can destroy backups and when the recovery key was last tried only from there",
    fix: "give the credential the writer's role as it is now: drops iam writer",
  };
}
