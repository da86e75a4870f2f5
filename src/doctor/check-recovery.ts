import { randomBytes } from "node:crypto";
import type { Cancel } from "../lib/cancel.ts";
import { open, seal } from "../seal/age-stream.ts";
import { readIdentityFile, recipientsOf } from "../seal/recipients.ts";
import type { RecoveryProof } from "../snapshot/finding.ts";
import { newestManifest, opens, type SealedManifest } from "./newest-manifest.ts";
import { fail, type Line, ok, warn } from "./types.ts";
import type { World } from "./world.ts";

export interface ShownIdentity {
  readonly lines: readonly Line[];
  /** Undefined: nothing was proven. */
  readonly proof?: RecoveryProof;
}

const AGAIN = "and take the identity off this machine again";

/**
 * Whether the identity that is shown opens what is sealed to the policy's recovery recipients: fresh bytes, and a manifest that
 * lies in the store. Throws key failures of the file.
 */
export async function tryIdentity(world: World, file: string, how: Cancel): Promise<ShownIdentity> {
  const { identities } = await readIdentityFile(file);
  const recipients = await world.recipients;
  const held = await recipientsOf(identities);
  const proven = recipients.filter((recipient) => held.includes(recipient));
  if (proven.length === 0) {
    const what = `the identity in ${file} belongs to none of the recovery recipients: it opens no backup`;
    return {
      lines: [fail(what, "find the right one NOW, while backups can still be made anew for another")],
    };
  }
  const fresh = randomBytes(64);
  const opened = await open(identities, await seal(recipients, fresh));
  if (!fresh.equals(opened)) throw new Error("age gave other bytes back");
  const lines: Line[] = [];
  const sealed = await newestManifest(world, how).catch(() => undefined); // told of the store
  if (sealed) {
    await opens(sealed, identities);
    lines.push(ok(`the identity in ${file} opens ${stored(sealed)}; keep it safe, ${AGAIN}`));
  } else {
    lines.push(
      warn(
        `the identity in ${file} opens what is sealed now; nothing that is stored was there to try it on`,
        `drops doctor --identity ${file}  after the first backup, ${AGAIN}`,
      ),
    );
  }
  const others = recipients.length - proven.length;
  if (others > 0) {
    const whose =
      others === 1 ? "1 other recovery recipient was" : `${others} other recovery recipients were`;
    lines.push(ok(`${whose} not shown`));
  }
  const snapshot = sealed?.snapshot.id;
  return { lines, ...(snapshot === undefined ? {} : { proof: { recipients: proven, snapshot } }) };
}

function stored({ source, snapshot }: SealedManifest): string {
  return `the manifest of ${source} in snapshot ${snapshot.id}`;
}
