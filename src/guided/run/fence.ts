import { isIP } from "node:net";
import type { Cancel } from "../../lib/cancel.ts";
import { messageOf } from "../../lib/errors.ts";
import { type CheckResult, failed, passed } from "./check.ts";
import { type NamedAddress, type Resolve, resolveName } from "./fence-dns.ts";
import { type PortAnswer, probe } from "./fence-probe.ts";

export interface OldMachineProbe {
  /** Names or addresses by which the old machine was reached: of the policy's ssh, and of its services. */
  readonly addresses: readonly string[];
  /** Default: 22, 80, 443, 8448 (Matrix federation). */
  readonly ports?: readonly number[];
  /** Name or address of the host that is restored onto: finding that one is no alarm. */
  readonly restoredOnto?: string | undefined;
}

export interface ProbeHow extends Cancel {
  /** For tests; default 5 s for each port. */
  readonly withinMs?: number;
  /** For tests. */
  readonly resolve?: Resolve;
}

const PORTS = [22, 80, 443, 8448];
const WITHIN_MS = 5000;

/**
 * Whether the old machine still answers, and what DNS says now. Opens TCP connections and closes them; sends
 * nothing. A refused connection is an answer too: a machine is running there. Proves nothing about a machine that only
 * calls out: a person must say that it is off.
 */
export async function probeOld(old: OldMachineProbe, how: ProbeHow): Promise<readonly CheckResult[]> {
  const names = [...new Set(old.addresses)];
  const [own, ...known] = await Promise.all(
    [old.restoredOnto ?? "", ...names].map((name) => resolved(name, how)),
  );
  const isOwn = (address: string) => own?.addresses.some((each) => each.address === address) ?? false;
  const addresses = [...new Set(known.flatMap((each) => each.addresses.map(({ address }) => address)))];
  const answers = await Promise.all(
    addresses.map((address) => checkAddress(address, isOwn(address), old, how)),
  );
  return [...known.filter(({ name }) => isIP(name) === 0).map((each) => checkName(each, isOwn)), ...answers];
}

interface Resolved {
  readonly name: string;
  readonly addresses: readonly NamedAddress[];
  readonly problem?: string;
}

async function resolved(name: string, how: ProbeHow): Promise<Resolved> {
  if (name === "") return { name, addresses: [] };
  try {
    return { name, addresses: await (how.resolve ?? resolveName)(name, how) };
  } catch (error) {
    how.signal.throwIfAborted();
    return { name, addresses: [], problem: messageOf(error) };
  }
}

/** Where a name points is told for the person's sake: it is ok when it could be asked. */
function checkName({ name, addresses, problem }: Resolved, isOwn: (address: string) => boolean): CheckResult {
  const check = `DNS of ${name}`;
  const look = "look at the provider's console whether the old machine is off";
  if (problem !== undefined) return failed(check, `could not be asked: ${problem}`, look);
  if (addresses.length === 0) return failed(check, "has no address, so nothing could be asked there", look);
  const told = addresses.map(({ address, ttl }) => {
    const which = `${isOwn(address) ? "" : "not "}the machine that is restored onto`;
    return `${address} (${which}${ttl === undefined ? "" : `; others may remember it for ${ttl} s`})`;
  });
  return passed(check, `points to ${told.join(", ")}`);
}

async function checkAddress(
  address: string,
  isOwn: boolean,
  old: OldMachineProbe,
  how: ProbeHow,
): Promise<CheckResult> {
  const name = `old machine at ${address}`;
  if (isOwn) return passed(name, "is the machine that is restored onto");
  const ports = old.ports ?? PORTS;
  const { signal, withinMs = WITHIN_MS } = how;
  const answers = await Promise.all(ports.map((port) => probe(address, port, { signal, withinMs })));
  const having = (wanted: PortAnswer) => ports.filter((_, index) => answers[index] === wanted).join(", ");
  const off = "switch it off at the provider, or stop and disable its services";
  if (answers.includes("open")) return failed(name, `accepts connections on port ${having("open")}`, off);
  if (answers.includes("refused"))
    return failed(name, `refuses port ${having("refused")}: a machine is running there`, off);
  if (answers.includes("unknown"))
    return failed(
      name,
      `could not be asked from here (port ${having("unknown")})`,
      "is this machine connected? Ask from another network, or look at the provider's console",
    );
  return passed(name, `does not answer on port ${ports.join(", ")} within ${withinMs / 1000} s`);
}
