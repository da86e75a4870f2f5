import type { Cancel } from "../lib/cancel.ts";
import { DropsError, isFailure } from "../lib/errors.ts";
import { ageSeconds } from "../lib/units.ts";
import { parseDateWords, type WantedSnapshot } from "../policy/dates.ts";
import { pickSnapshot } from "../policy/pick.ts";
import { wallTime } from "../policy/zone.ts";
import { type Catalog, type ListedSnapshot, listPolicies, readCatalog } from "../snapshot/catalog.ts";
import type { Eligibility } from "../snapshot/eligibility.ts";
import { type HeldBack, heldBack } from "../snapshot/held-back.ts";
import type { ListedNote } from "../snapshot/pin.ts";
import type { UnreadableDocument } from "../snapshot/read-each.ts";
import { type Repository, readRepository } from "../snapshot/repository.ts";
import { NO_DESCRIPTION, repositoryOfRecords, UNKNOWN_TIME } from "../snapshot/repository-of-records.ts";
import type { BlobReader } from "../store/blob-store.ts";
import { keyTime, parseRecordKey, signatureKey } from "../store/keys.ts";
import type { Trust } from "../trust/trust.ts";
import { expectHead } from "./expect-head.ts";

/** Where to read from, and whom to believe. It is handed no writer. */
export interface ReadParts {
  readonly store: BlobReader;
  /** Undefined: the only one that the store holds. */
  readonly policyName: string | undefined;
  readonly trust: Trust;
  /** age identities, tried in turn. */
  readonly identities: readonly string[];
  /** Days and times are of this zone. */
  readonly zone: string;
  readonly now: () => Date;
  readonly say: (line: string) => void;
  /** Go on when repository.json is lost or damaged, as long as believed records agree on which repository this is. */
  readonly withoutDescription?: boolean;
  /** As of `expectHead`: the id of a snapshot that the store must know of. */
  readonly expectHead?: string | undefined;
  /** Says more of a failure to open what is sealed: which identities were tried, whose is wanted. */
  readonly explain?: (error: DropsError) => DropsError;
}

/** In the operator's words. */
export type SnapshotChoice =
  | { readonly date: string; readonly id?: undefined }
  | { readonly id: string; readonly date?: undefined };

/** Who vouches for a record: a key that is believed, one that is not, nobody. */
export type SignatureState = "trusted" | "untrusted" | "missing";

export interface OpenCatalog extends Catalog {
  readonly repository: Repository;
  readonly policyName: string;
}

export interface ChosenSnapshot {
  readonly repository: Repository;
  readonly policyName: string;
  readonly snapshot: ListedSnapshot;
  readonly signature: SignatureState;
  /** Complete ones that ended after it. */
  readonly later: number;
  /** Those, and partial ones: what was captured after it. Oldest first. */
  readonly newer: readonly ListedSnapshot[];
  readonly ageSeconds: number;
  /** What the operator should know about the choice. */
  readonly notes: readonly string[];
}

/** How an answer about one snapshot begins. */
export function aboutChosen(
  { store, zone }: Pick<ReadParts, "store" | "zone">,
  { policyName, snapshot: { record }, signature }: ChosenSnapshot,
) {
  const { id, state, started, ended } = record;
  return { policy: policyName, store: store.label, zone, snapshot: { id, state, started, ended, signature } };
}

/**
 * The repository's description and all snapshots of one policy.
 *
 * @throws DropsError repository/missing, signature/untrusted, usage/invalid when it is not clear which policy, safety/refused
 *   when the store knows nothing of the expected head
 */
export async function openCatalog(
  parts: Pick<ReadParts, "store" | "policyName" | "trust" | "withoutDescription" | "expectHead">,
  how: Cancel,
): Promise<OpenCatalog> {
  const { store, trust } = parts;
  const described = await readRepository(store, trust, how).catch((error: unknown) => {
    const isLost = isFailure(error, "repository/missing", "data/damaged", "signature/untrusted");
    if (!isLost || !parts.withoutDescription) throw error;
    return error;
  });
  const policyName = parts.policyName ?? (await onlyPolicy(store, how));
  const repository =
    described instanceof DropsError
      ? await repositoryOfRecords(store, policyName, trust, described, how)
      : described;
  const { signal } = how; // nothing else: a restore's own options came along, and `only` means another thing there
  const catalog = await readCatalog(store, repository, policyName, trust, { signal });
  const opened = { ...catalog, repository, policyName };
  if (parts.expectHead !== undefined) expectHead(parts.expectHead, opened, store.label);
  return opened;
}

/**
 * The snapshot that was asked for; complete ones only that nothing holds back, unless it is named by its id. What is there and is
 * passed over is said, and is the failure when it is what was asked for.
 *
 * @param how `anybody`: look at what nobody trusted signed too, and take it by its id
 * @throws DropsError snapshot/missing with the nearest ones, signature/untrusted, data/damaged, safety/refused for one that is
 *   held back, and as `openCatalog`
 */
export async function chooseSnapshot(
  parts: Omit<ReadParts, "identities">,
  choice: SnapshotChoice,
  how: Cancel & { readonly anybody?: boolean },
): Promise<ChosenSnapshot> {
  const { zone } = parts;
  const now = parts.now();
  const wanted: WantedSnapshot =
    choice.id === undefined ? parseDateWords(choice.date, { zone, now }) : { kind: "id", id: choice.id };
  const catalog = await openCatalog(how.anybody ? believingAnybody(parts) : parts, how);
  const back = await heldBack(parts, catalog, how);
  const notes: string[] = [...(catalog.repository.created === UNKNOWN_TIME ? [NO_DESCRIPTION] : [])];
  for (const note of notes) parts.say(`WARNING: ${note}`);
  const listed = catalog.snapshots.map((snapshot) => pickable(snapshot, back.why(snapshot)));
  const doubtful = passedOver(catalog, listed, { wanted, zone });
  for (const { why } of doubtful) {
    notes.push(`passed over: ${why.message}`);
    parts.say(`WARNING: passed over: ${why.message}`);
  }
  refuseUnreadable(catalog, wanted);
  const { snapshot } = pickOrRefuse(listed, wanted, zone, doubtful);
  const { state, ended } = snapshot.record;
  if (state !== "complete") notes.push(`this snapshot is a ${state}: it does not hold every source whole`);
  for (const note of warningsOf(snapshot, back, zone)) {
    notes.push(note);
    parts.say(`WARNING: ${note}`);
  }
  const newer = catalog.snapshots.filter(
    (one) => one.record.state !== "checkpoint" && one.record.ended > ended && !isQuarantined(back.of(one)),
  );
  return {
    repository: catalog.repository,
    policyName: catalog.policyName,
    snapshot,
    signature: await signatureState(parts.store, snapshot, how),
    later: newer.filter(({ record }) => record.state === "complete").length,
    newer,
    ageSeconds: ageSeconds(ended, now),
    notes,
  };
}

/** The same parts for looking at what nobody vouches for, too. */
export function believingAnybody<Parts extends Pick<ReadParts, "trust">>(parts: Parts): Parts {
  return { ...parts, trust: { ...parts.trust, allowUnsigned: true } };
}

/** Why it is taken by its id alone, and what operators left; whoever wrote that: to be warned in vain costs nothing. */
function warningsOf(snapshot: ListedSnapshot, { of, withdrawn }: HeldBack, zone: string): string[] {
  const { id } = snapshot.record;
  const found = of(snapshot);
  const notes = withdrawn.notes
    .filter(({ note }) => note.snapshot === id)
    .map((each) => withdrawalInWords(each, zone));
  if (!isQuarantined(found)) return notes;
  return [`snapshot ${id} is held back, and is used because it was named: ${found.why}`, ...notes];
}

function isQuarantined(found: Eligibility): found is Exclude<Eligibility, { fills: true }> {
  return !found.fills && found.quarantined;
}

/** A withdrawal, for who is about to use the snapshot. */
export function withdrawalInWords({ note, trusted }: ListedNote, zone: string): string {
  const by = trusted ? "" : " (the note is signed by no key that is known here)";
  return `snapshot ${note.snapshot} was withdrawn on ${wallTime(new Date(note.at), zone).slice(0, 10)}: ${note.why}${by}`;
}

/** Who vouches for a listed snapshot. */
export async function signatureState(
  store: BlobReader,
  { key, signer }: ListedSnapshot,
  how: Cancel,
): Promise<SignatureState> {
  if (signer !== undefined) return "trusted";
  for await (const blob of store.list(signatureKey(key), how)) {
    if (blob.key === signatureKey(key)) return "untrusted";
  }
  return "missing";
}

async function onlyPolicy(store: BlobReader, how: Cancel): Promise<string> {
  const names = await listPolicies(store, how);
  const [only, ...others] = names;
  if (only === undefined)
    throw new DropsError("snapshot/missing", `there is no snapshot in ${store.label}`, {
      hint: "drops backup",
    });
  if (others.length === 0) return only;
  throw new DropsError(
    "usage/invalid",
    `${store.label} holds snapshots of several policies: no policy given`,
    {
      hint: names.map((name) => `--policy ${name}`).join("  or  "),
    },
  );
}

/** When nothing fits that may be taken and something else does, that is the failure to tell. */
function pickOrRefuse(
  listed: readonly Pickable[],
  wanted: WantedSnapshot,
  zone: string,
  doubtful: readonly UnreadableDocument[],
): Pickable {
  try {
    return pickSnapshot(listed, wanted, { zone });
  } catch (error) {
    const newest = doubtful.at(-1);
    if (newest && isFailure(error, "snapshot/missing")) throw newest.why;
    throw error;
  }
}

/** Records that cannot be believed or are held back, and might have been the ones that are wanted; oldest first. */
function passedOver(
  { unreadable, policyName }: OpenCatalog,
  listed: readonly Pickable[],
  { wanted, zone }: { readonly wanted: WantedSnapshot; readonly zone: string },
): readonly UnreadableDocument[] {
  if (wanted.kind === "id") return [];
  const held = listed.filter(({ state, held }) => held !== undefined && state === "complete");
  const all = [...unreadable, ...held.map((one) => ({ key: one.snapshot.key, why: holding(one, zone) }))];
  const fitting = all.filter(({ key }) => {
    const time = parseRecordKey(policyName, key)?.time ?? "";
    if (wanted.kind === "latest") return time >= newestComplete(listed);
    if (wanted.kind === "time")
      return time <= keyTime(wanted.at) && time >= newestComplete(listed, wanted.at);
    return keyTime(wanted.from) <= time && time < keyTime(wanted.to);
  });
  return fitting.sort((a, b) => (a.key < b.key ? -1 : 1));
}

function holding({ id, ended, held }: Pickable, zone: string): DropsError {
  const message = `snapshot ${id} of ${wallTime(ended, zone)} is held back: ${held}`;
  return new DropsError("safety/refused", message, {
    hint: `drops show ${id}; --snapshot ${id} uses it anyway`,
  });
}

/** The time in the key of the newest complete snapshot that may be taken and ended by then. */
function newestComplete(listed: readonly Pickable[], by?: Date): string {
  const complete = listed.filter(({ state, held }) => state === "complete" && held === undefined);
  const found = complete.findLast(({ ended }) => by === undefined || ended <= by);
  return found ? keyTime(found.ended) : "";
}

function refuseUnreadable(catalog: OpenCatalog, wanted: WantedSnapshot): void {
  if (wanted.kind !== "id" || catalog.snapshots.some(({ record }) => record.id.startsWith(wanted.id))) return;
  const found = catalog.unreadable.find(({ key }) =>
    parseRecordKey(catalog.policyName, key)?.id.startsWith(wanted.id),
  );
  if (found) throw found.why;
}

type Pickable = ReturnType<typeof pickable>;

function pickable(snapshot: ListedSnapshot, held: string | undefined) {
  const { id, ended, state } = snapshot.record;
  return { id, ended: new Date(ended), state, held, snapshot };
}
