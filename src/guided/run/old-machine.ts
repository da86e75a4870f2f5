import { isIP } from "node:net";
import { isSamePlace } from "../../policy/host-words.ts";
import type { Policy, SshPolicy } from "../../policy/schema.ts";
import type { RunTarget } from "../journal/run-meta.ts";

type HostFacts = Readonly<Record<string, string>>;

/** The machine that a snapshot was made of, when it is another one than a restore goes to. */
export interface OldMachine {
  /** What it calls itself; undefined when it is the very machine that is restored onto, or the snapshot does not tell. */
  readonly name: string | undefined;
  /** Where it may be reached. */
  readonly addresses: readonly string[];
}

/**
 * Pure. A machine is the same when its id and its name are; the policy's words count too where
 * it has another address than the restore, and alone where a snapshot or a host tells no id.
 *
 * @param was facts of the snapshot
 * @param is facts of the machine that is restored onto
 */
export function oldMachine(
  policyHost: Policy["host"],
  target: RunTarget,
  { was, is }: { readonly was: HostFacts; readonly is: HostFacts },
): OldMachine {
  const ssh = policyHost === "local" ? undefined : policyHost.ssh;
  const isTarget = isAt(target, ssh);
  const id = sameId(was, is);
  const isByWords = isTarget || (ssh === undefined && target === "local");
  const isHere = isByWords || (id === true && (ssh === undefined || target === "local"));
  if (id !== false && isHere) return { name: undefined, addresses: [] };
  const called = was["hostname"];
  const own = new Set(addressesOf(is));
  const known = ssh ? (isTarget ? [] : [ssh.address]) : namesIn(called);
  const recorded = addressesOf(was).filter((address) => !own.has(address));
  return { name: id ? undefined : called, addresses: [...new Set([...known, ...recorded])] };
}

function isAt(target: RunTarget, ssh: SshPolicy | undefined): boolean {
  return target !== "local" && ssh !== undefined && isSamePlace(target, ssh);
}

/** A name without a dot is no name for others. */
function namesIn(called: string | undefined): readonly string[] {
  return called?.includes(".") ? [called] : [];
}

/** Whether two machines are one by id and name; undefined where one of them tells no id. */
export function sameId(was: HostFacts, is: HostFacts): boolean | undefined {
  if (was["machine_id"] === undefined || is["machine_id"] === undefined) return undefined;
  return was["machine_id"] === is["machine_id"] && was["hostname"] === is["hostname"];
}

/** By which others reach a machine, as far as its facts tell. */
export function addressesOf({ addresses = "" }: HostFacts): readonly string[] {
  return addresses.split(" ").filter((address) => isIP(address) !== 0 && !address.includes("%"));
}
