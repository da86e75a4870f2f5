import type { Cancel } from "../lib/cancel.ts";
import { DropsError, isFailure } from "../lib/errors.ts";
import { parseDateWords, type WantedSnapshot } from "../policy/dates.ts";
import { pickSnapshot } from "../policy/pick.ts";
import {
  type Catalog,
  type ListedSnapshot,
  listPolicies,
  readCatalog,
  type UnreadableSnapshot,
} from "../snapshot/catalog.ts";
import { type ListedNote, readNotes } from "../snapshot/pin.ts";
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
  if (parts.expectHead !== undefined) expectHead(parts.expectHead, catalog.snapshots, store.label);
  return { ...catalog, repository, policyName };
}

/**
 * The snapshot that was asked for; complete ones only, unless it is named by its id. What is there and cannot be believed
 * is said, and is the failure when it is what was asked for.
 *
 * @throws DropsError snapshot/missing with the nearest ones, signature/untrusted, data/damaged, and as `openCatalog`
 */
export async function chooseSnapshot(
  parts: Omit<ReadParts, "identities">,
  choice: SnapshotChoice,
  how: Cancel,
): Promise<ChosenSnapshot> {
  const { zone } = parts;
  const now = parts.now();
  const wanted: WantedSnapshot =
    choice.id === undefined ? parseDateWords(choice.date, { zone, now }) : { kind: "id", id: choice.id };
  const catalog = await openCatalog(parts, how);
  const notes: string[] = [...(catalog.repository.created === UNKNOWN_TIME ? [NO_DESCRIPTION] : [])];
  for (const note of notes) parts.say(`WARNING: ${note}`);
  const doubtful = passedOver(catalog, wanted);
  for (const { why } of doubtful) {
    notes.push(`passed over: ${why.message}`);
    parts.say(`WARNING: passed over: ${why.message}`);
  }
  const listed = catalog.snapshots.map((snapshot) => pickable(snapshot));
  refuseUnreadable(catalog, wanted);
  const { snapshot } = pickOrRefuse(listed, wanted, zone, doubtful);
  const { state, ended } = snapshot.record;
  if (state !== "complete") notes.push(`this snapshot is a ${state}: it does not hold every source whole`);
  for (const note of await withdrawalsOf(parts, catalog, snapshot, how)) {
    notes.push(note);
    parts.say(`WARNING: ${note}`);
  }
  const newer = catalog.snapshots.filter(
    ({ record }) => record.state !== "checkpoint" && record.ended > ended,
  );
  return {
    repository: catalog.repository,
    policyName: catalog.policyName,
    snapshot,
    signature: await signatureState(parts.store, snapshot, how),
    later: newer.filter(({ record }) => record.state === "complete").length,
    newer,
    ageSeconds: Math.max(0, (now.getTime() - Date.parse(ended)) / 1000),
    notes,
  };
}

/** Warnings that operators left; whoever wrote one: to be warned in vain costs nothing. */
async function withdrawalsOf(
  { store, trust }: Pick<ReadParts, "store" | "trust">,
  { repository, policyName }: OpenCatalog,
  { record }: ListedSnapshot,
  { signal }: Cancel,
): Promise<string[]> {
  const place = { repository: repository.id, policy: policyName };
  const { notes } = await readNotes(store, place, "withdrawn", trust, { signal });
  return notes.filter(({ note }) => note.snapshot === record.id).map(withdrawalInWords);
}

/** A withdrawal, for who is about to use the snapshot. */
export function withdrawalInWords({ note, trusted }: ListedNote): string {
  const by = trusted ? "" : " (the note is signed by no key that is known here)";
  return `snapshot ${note.snapshot} was withdrawn on ${note.at.slice(0, 10)}: ${note.why}${by}`;
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
  throw new DropsError("usage/invalid", `${store.label} holds snapshots of several policies: which one`, {
    hint: names.map((name) => `--policy ${name}`).join("  or  "),
  });
}

/** When nothing that is believed fits and something else does, that is the failure to tell. */
function pickOrRefuse(
  listed: ReturnType<typeof pickable>[],
  wanted: WantedSnapshot,
  zone: string,
  doubtful: readonly UnreadableSnapshot[],
): ReturnType<typeof pickable> {
  try {
    return pickSnapshot(listed, wanted, { zone });
  } catch (error) {
    const newest = doubtful.at(-1);
    if (newest && isFailure(error, "snapshot/missing")) throw newest.why;
    throw error;
  }
}

/** Records that cannot be believed and might have been the ones that are wanted. */
function passedOver(catalog: OpenCatalog, wanted: WantedSnapshot): readonly UnreadableSnapshot[] {
  if (wanted.kind === "id") return [];
  return catalog.unreadable.filter(({ key }) => {
    const time = parseRecordKey(catalog.policyName, key)?.time ?? "";
    if (wanted.kind === "latest") return time >= newestComplete(catalog);
    if (wanted.kind === "time")
      return time <= keyTime(wanted.at) && time >= newestComplete(catalog, wanted.at);
    return keyTime(wanted.from) <= time && time < keyTime(wanted.to);
  });
}

/** The time in the key of the newest complete snapshot that ended by then. */
function newestComplete({ snapshots }: Catalog, by?: Date): string {
  const complete = snapshots.filter(({ record }) => record.state === "complete");
  const found = complete.findLast(({ record }) => by === undefined || new Date(record.ended) <= by);
  return found ? keyTime(new Date(found.record.ended)) : "";
}

function refuseUnreadable(catalog: OpenCatalog, wanted: WantedSnapshot): void {
  if (wanted.kind !== "id" || catalog.snapshots.some(({ record }) => record.id.startsWith(wanted.id))) return;
  const found = catalog.unreadable.find(({ key }) =>
    parseRecordKey(catalog.policyName, key)?.id.startsWith(wanted.id),
  );
  if (found) throw found.why;
}

function pickable(snapshot: ListedSnapshot) {
  const { id, ended, state } = snapshot.record;
  return { id, ended: new Date(ended), state, snapshot };
}
