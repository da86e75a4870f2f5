import type { Cancel } from "../lib/cancel.ts";
import { isFailure } from "../lib/errors.ts";
import type { DestroyProof } from "../snapshot/finding.ts";
import { probeWriter, type WriterProbe } from "../store/probe-writer.ts";
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
  const unasked = await notReached(world, how);
  if (unasked) return unasked;
  const probe = await probeWriter(policy.store.s3, policy.name, credentials, world.now(), how);
  return judgeProbe(probe);
}

const PERMISSIONS = "compare the credential's permissions with those of drops iam writer";

/** Nothing was refused where nothing could be asked: then the cause is that of the store's other checks, and so is the remedy. */
async function notReached(world: World, how: Cancel): Promise<TriedToDestroy | undefined> {
  try {
    await (await world.store).now(how);
    return undefined;
  } catch (error) {
    if (!isFailure(error)) throw error;
    const what = `whether this machine can destroy backups is not proven: ${error.message}`;
    return { lines: [unable(what, error.hint ?? PERMISSIONS)], left: [] };
  }
}

/** Pure. */
export function judgeProbe({
  canDestroy,
  overwrite,
  delete: remove,
  deleteVersion,
  ...more
}: WriterProbe): TriedToDestroy {
  const { found, left } = more;
  const versions = deleteVersion === "none" ? "" : `, removing versions is ${deleteVersion}`;
  const said = `overwriting is ${overwrite}, deleting is ${remove}${versions}`;
  if (canDestroy === "unknown") {
    const what = `whether this machine can destroy backups is not proven: ${found[0] ?? said}`;
    return {
      lines: [unable(what, PERMISSIONS)],
      left,
    };
  }
  const proof: DestroyProof = { answer: canDestroy, found: [said] };
  if (canDestroy === "yes") {
    return { lines: [fail(`this machine CAN DESTROY every backup: ${said}`, ROLES)], proof, left };
  }
  const hides = overwrite === "possible" || remove === "possible";
  const lines = [ok(`this machine cannot destroy backups: ${said}`)];
  if (hides) {
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

async function labelOf(world: World): Promise<string> {
  return (await world.store).label;
}
