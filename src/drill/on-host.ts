import { addressesOf, sameId } from "../guided/run/old-machine.ts";
import type { Host } from "../host/host.ts";
import { hostFacts } from "../host/host-facts.ts";
import type { Cancel } from "../lib/cancel.ts";
import { DropsError } from "../lib/errors.ts";
import { milliseconds } from "../lib/units.ts";
import {
  type ChosenSnapshot,
  chooseSnapshot,
  type ReadParts,
  type SnapshotChoice,
} from "../restore/choose.ts";
import { CheckBook, type CheckFinding, couldNotRun, failed } from "./checks.ts";
import type { DrillResult } from "./drill.ts";
import type { DrillPolicy } from "./drill-context.ts";
import { OUTSIDE, type OutsidePlace, requireNoEgress } from "./egress.ts";
import { checkAge, checkTime } from "./objectives.ts";
import { verdictOf } from "./verdict.ts";

/** What a guided restore came to, as far as a drill looks at it. */
export interface HostRestore {
  readonly steps: readonly {
    readonly id: string;
    readonly title: string;
    readonly seconds?: number | undefined;
    readonly checks: readonly { name: string; ok: boolean; found: string; hint?: string | undefined }[];
    readonly answers: readonly { item: string; answer: string; note: string }[];
    readonly notes: readonly string[];
  }[];
  readonly leftOut: readonly { source: string; why: string }[];
  readonly bytes: number;
  readonly secondsToStarted?: number | undefined;
  readonly notes: readonly string[];
}

export interface HostDrillParts extends Omit<ReadParts, "identities"> {
  /** The throwaway machine. */
  readonly host: Host;
  readonly policy: DrillPolicy | undefined;
  /** Addresses that must not be reached beside the well-known ones: the machine that is backed up. */
  readonly outside: readonly OutsidePlace[];
  /** The guided restore onto it, without a question: a machine that is cut off needs no fence. */
  readonly restore: (snapshot: string, how: Cancel) => Promise<HostRestore>;
}

/**
 * Drill the guided restore on a throwaway machine: units, gate, swap and all, and the services run there. Before
 * anything starts the machine is proven to be cut off, and again when all of it ran. It is left as it is.
 *
 * @throws DropsError safety/refused when it is not cut off, or is the machine of the snapshot; as `chooseSnapshot`
 */
export async function runHostDrill(
  parts: HostDrillParts,
  options: { readonly choice: SnapshotChoice; readonly only: readonly string[] },
  how: Cancel,
): Promise<DrillResult> {
  const began = parts.now();
  const { host, policy } = parts;
  const chosen = await chooseSnapshot(parts, options.choice, how);
  const outside = [...OUTSIDE, ...parts.outside, ...(await capturedPlaces(host, chosen, how))];
  const found = await requireNoEgress(host, { ...how, outside });
  const book = new CheckBook(parts);
  await book.run(
    { id: "cut-off", name: "the machine is cut off before anything starts" },
    async () => found,
    how,
  );
  await book.run({ id: "signature", name: "the snapshot is signed by a trusted key" }, signed(chosen), how);
  const restored = await restoreOnto(parts, chosen, book, how);
  const again = { id: "cut-off-after", name: "the machine is cut off after all of it ran" };
  await book.run(again, () => requireNoEgress(host, { ...how, outside }), how);
  const { record } = chosen.snapshot;
  const rpoMs = policy && milliseconds(policy.policy.rpo);
  const rtoMs = policy && milliseconds(policy.policy.rto);
  const age = await checkAge(book, { record, later: chosen.later, at: parts.now(), rpoMs }, how);
  const seconds = restored?.secondsToStarted;
  const time =
    seconds === undefined
      ? {}
      : await checkTime(book, { restoreSeconds: seconds, loadSeconds: 0, rtoMs }, how);
  book.note(...chosen.notes, `${host.label} holds everything in plain: destroy it`);
  return {
    chosen,
    policy,
    began,
    ended: parts.now(),
    verdict: verdictOf(book.checks),
    whole: options.only.length === 0,
    objectives: { ...age, ...time },
    restored: { files: 0, bytes: restored?.bytes ?? 0, packs: 0, storedBytes: 0 },
    sandbox: { user: host.user.name, network: undefined },
    on: host.label,
    work: host.label,
    book,
  };
}

/**
 * Where the machine of the snapshot answers, by what the snapshot tells, whatever a policy says. Throws safety/refused when the
 * machine that is drilled on is that one.
 */
async function capturedPlaces(
  host: Host,
  { snapshot }: ChosenSnapshot,
  how: Cancel,
): Promise<readonly OutsidePlace[]> {
  const { id, host: was } = snapshot.record;
  const is = await hostFacts(host, [], how);
  const own = new Set(addressesOf(is));
  const addresses = addressesOf(was);
  const shared = addresses.find((address) => own.has(address));
  if (sameId(was, is) !== true && shared === undefined)
    return addresses.map((address) => ({ address, port: 22 }));
  const by = shared === undefined ? "the same machine id and name" : `the address ${shared}`;
  throw new DropsError(
    "safety/refused",
    `${host.label} is the machine that snapshot ${id} was made of (${by}): a drill would replace its data`,
    { hint: "use --on with the address of a throwaway machine without network access" },
  );
}

function signed({ signature, snapshot }: ChosenSnapshot): () => Promise<CheckFinding | string> {
  return async () =>
    signature === "trusted"
      ? `snapshot ${snapshot.record.id}, ${snapshot.record.state}`
      : failed(`nobody who is trusted signed it (${signature})`, "--trusted-signer KEY");
}

/** The restore as one check, and each of its steps as another. */
async function restoreOnto(
  parts: HostDrillParts,
  chosen: ChosenSnapshot,
  book: CheckBook,
  how: Cancel,
): Promise<HostRestore | undefined> {
  let restored: HostRestore | undefined;
  const work = async () => {
    restored = await parts.restore(chosen.snapshot.record.id, how);
    return `${restored.steps.length} steps on ${parts.host.label}`;
  };
  const check = await book.run({ id: "guided", name: "the guided restore goes through" }, work, how);
  if (!restored) return undefined;
  let at = check.began;
  for (const step of restored.steps) {
    const seconds = step.seconds ?? 0;
    if (step.id === "fence") {
      book.skip(step.title, "the old machine lives on; the one that is drilled on is cut off");
      continue;
    }
    const title = { id: `guided/${step.id}`, source: "guided restore", name: step.title };
    book.append({ ...title, ...judged(step.checks), began: at, seconds });
    at = Math.min(at + seconds, check.began + check.seconds);
    for (const { item, answer } of step.answers) {
      if (answer === "not asked") book.skip(item, "of the checklist: nobody is asked in a drill");
    }
    book.note(...step.notes.map((note) => `${step.id}: ${note}`));
  }
  for (const { source, why } of restored.leftOut) book.skip(`source ${source}`, why);
  book.note(...restored.notes);
  return restored;
}

function judged(checks: HostRestore["steps"][number]["checks"]): CheckFinding {
  const bad = checks.filter(({ ok }) => !ok);
  if (bad.length === 0)
    return { outcome: "passed", found: checks.length === 0 ? "" : `${checks.length} checks ok` };
  const found = bad.map((check) => `${check.name}: ${check.found}`).join("; ");
  const hint = bad[0]?.hint;
  return bad.some((check) => /could not be (run|looked at)/.test(check.found))
    ? couldNotRun(found, hint)
    : failed(found, hint);
}
