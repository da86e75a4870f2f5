import type { Cancel } from "../lib/cancel.ts";
import { isFailure } from "../lib/errors.ts";
import type { DestroyProof } from "../snapshot/finding.ts";
import type { Lock } from "../store/blob-store.ts";
import { probeWriter, type WriterProbe } from "../store/probe/probe-writer.ts";
import { shortLock } from "./try-lock.ts";
import { fail, type Line, ok, unable, warn } from "./types.ts";
import type { World } from "./world.ts";

export interface TriedToDestroy {
  readonly lines: readonly Line[];
  /** Undefined: not proven either way. */
  readonly proof?: DestroyProof;
  /** Keys of what was put to try it. */
  readonly left: readonly string[];
}

const ROLES =
  "give it the writer's role alone (drops iam writer), in a bucket with versions, Object Lock or enforced create-only puts: docs/stores.md";

/** Whether the credential that makes backups can overwrite or delete, tried on objects of its own. */
export async function tryToDestroy(world: World, how: Cancel): Promise<TriedToDestroy> {
  const { policy } = world.loaded;
  if (!("s3" in policy.store) || !world.credentials) {
    const found = `whoever may write to the directory ${await labelOf(world)} may delete in it`;
    return {
      lines: [
        warn(
          `this machine can destroy backups: ${found}`,
          "copy them to a place that this machine cannot delete from, or use S3 with roles: docs/stores.md",
        ),
      ],
      proof: { answer: "yes", found: [found] },
      left: [],
    };
  }
  const credentials = await world.credentials;
  const reached = await reachedAt(world, how);
  if ("unproven" in reached) return reached.unproven;
  const lock = await shortLock(await world.store, policy, how);
  const { s3 } = policy.store;
  const probe = await probeWriter({ s3, policy: policy.name, credentials, lock, now: reached.now }, how);
  return judgeProbe(probe, lock);
}

const PERMISSIONS = "compare the credential's permissions with those of drops iam writer";

/** Nothing was refused where nothing could be asked: then the cause is that of the store's other checks, and so is the remedy. */
async function reachedAt(
  world: World,
  how: Cancel,
): Promise<{ readonly now: Date } | { readonly unproven: TriedToDestroy }> {
  try {
    return { now: await (await world.store).now(how) };
  } catch (error) {
    if (!isFailure(error)) throw error;
    const what = `whether this machine can destroy backups is not proven: ${error.message}`;
    return { unproven: { lines: [unable(what, error.hint ?? PERMISSIONS)], left: [] } };
  }
}

/** Pure. `lock`: how what was tried was locked. */
export function judgeProbe(probe: WriterProbe, lock: Lock | undefined): TriedToDestroy {
  const { canDestroy, found, left } = probe;
  const said = triedInWords(probe, lock);
  if (canDestroy === "unknown") {
    const unknown = found.find((sentence) => /cannot put|not proven/.test(sentence)) ?? said;
    const what = `whether this machine can destroy backups is not proven: ${unknown}`;
    return { lines: [unable(what, PERMISSIONS)], left };
  }
  const proof: DestroyProof = { answer: canDestroy, found: [said] };
  if (canDestroy === "yes") {
    return { lines: [fail(`this machine CAN DESTROY every backup: ${said}`, ROLES)], proof, left };
  }
  const lines = [ok(`this machine cannot destroy ${lock ? "what a backup locks" : "backups"}: ${said}`)];
  if (probe.overwrite === "possible" || probe.delete === "possible") {
    const what =
      "it can hide objects behind newer versions, until the bucket's lifecycle rule removes the older ones";
    lines.push(
      warn(
        what,
        "keep versions long enough to notice (drops iam lifecycle --days 30), and watch drops status",
      ),
    );
  }
  return { lines, proof, left };
}

/** Just what was tried: the rest is not known. */
function triedInWords(probe: WriterProbe, lock: Lock | undefined): string {
  const tried: readonly (readonly [string, string])[] = [
    ["overwriting", probe.overwrite],
    ["deleting", probe.delete],
    ["removing versions", probe.deleteVersion],
    ["removing them past a governance lock", probe.bypass],
    ["removing them after ending the lock sooner", probe.shorten],
  ];
  const words = tried.flatMap(([what, outcome]) => (outcome === "none" ? [] : [`${what} is ${outcome}`]));
  return `${lock ? `of objects locked in ${lock.mode} mode, ` : ""}${words.join(", ")}`;
}

async function labelOf(world: World): Promise<string> {
  return (await world.store).label;
}
