import type { Cancel } from "../lib/cancel.ts";
import { DropsError, isFailure } from "../lib/errors.ts";
import { parseDateWords } from "../policy/dates.ts";
import { pickSnapshot } from "../policy/pick.ts";
import { wallTime } from "../policy/zone.ts";
import type { Signer } from "../seal/sshsig.ts";
import { readCatalog } from "../snapshot/catalog.ts";
import { heldBack } from "../snapshot/held-back.ts";
import { isInForce, type Note, noteKey, putNote, readNotes, removeNote } from "../snapshot/pin.ts";
import type { SnapshotRecord } from "../snapshot/record.ts";
import { FORMAT, readRepository } from "../snapshot/repository.ts";
import type { BlobReader, BlobRemover, BlobWriter } from "../store/blob-store.ts";
import { signatureKey } from "../store/keys.ts";
import type { SurveyParts } from "./survey.ts";

export interface NoteParts extends Omit<SurveyParts, "proven" | "store"> {
  readonly store: BlobReader & BlobWriter & BlobRemover;
  readonly signer: Signer;
  readonly zone: string;
}

export interface WrittenNote {
  readonly snapshot: SnapshotRecord;
  readonly key: string;
  readonly note: Note;
}

/**
 * Keep a snapshot whatever the rules say, for ever or until a date; or warn of one, which then fills no slot.
 *
 * @param what `snapshot`: an id or a date in the operator's words
 * @throws DropsError snapshot/missing, usage/invalid; safety/refused when there is such a note already
 */
export async function writeNote(
  parts: NoteParts,
  what: {
    readonly kind: Note["drops"];
    readonly snapshot: string;
    readonly until: string | undefined;
    readonly why: string;
  },
  how: Cancel,
): Promise<WrittenNote> {
  const { store, policyName, zone } = parts;
  const now = parts.now();
  const until = what.until === undefined ? undefined : endOf(what.until, zone, now);
  const found = await find(parts, what.snapshot, how);
  const note: Note = {
    drops: what.kind,
    format: FORMAT,
    repository: found.repository,
    policy: policyName,
    snapshot: found.id,
    at: now.toISOString(),
    ...(until === undefined ? {} : { until: until.toISOString() }),
    why: what.why.slice(0, 1024),
  };
  await makeRoom(parts, note, how);
  return { snapshot: found, key: await putNote(store, note, { ...how, signer: parts.signer }), note };
}

/** Take a pin away again. Throws snapshot/missing when there is none. */
export async function unpin(
  parts: Omit<NoteParts, "signer">,
  snapshot: string,
  how: Cancel,
): Promise<WrittenNote> {
  const { store, policyName } = parts;
  const record = await find(parts, snapshot, how);
  const place = { repository: record.repository, policy: policyName };
  const { notes } = await readNotes(store, place, "pin", parts.trust, how);
  const found = notes.find(({ note }) => note.snapshot === record.id);
  if (!found) {
    throw new DropsError("snapshot/missing", `snapshot ${record.id} is not pinned`, { hint: "drops plan" });
  }
  await removeNote(store, found.note, how);
  return { snapshot: record, key: found.key, note: found.note };
}

async function find(
  { store, policyName, trust, zone, now }: Omit<NoteParts, "signer">,
  words: string,
  how: Cancel,
): Promise<SnapshotRecord> {
  const wanted = parseDateWords(words, { zone, now: now() });
  const repository = await readRepository(store, trust, how);
  const { snapshots } = await readCatalog(store, repository, policyName, trust, how);
  const { why } = await heldBack({ store, trust }, { snapshots, repository, policyName }, how);
  const listed = snapshots.map((snapshot) => {
    const { id, ended, state } = snapshot.record;
    return { id, ended: new Date(ended), state, held: why(snapshot), record: snapshot.record };
  });
  return pickSnapshot(listed, wanted, { zone }).record;
}

/** A pin that has run out, or what a killed one left, makes way; a note that counts does not. */
async function makeRoom({ store, trust, now, zone }: NoteParts, note: Note, how: Cancel): Promise<void> {
  const { notes } = await readNotes(store, note, note.drops, trust, how);
  const there = notes.find(({ key }) => key === noteKey(note))?.note;
  if (there && isInForce(there, now())) {
    const until = there.until === undefined ? "" : ` until ${wallTime(new Date(there.until), zone)}`;
    const said = note.drops === "pin" ? `pinned${until}` : "withdrawn";
    throw new DropsError("safety/refused", `snapshot ${note.snapshot} is ${said} already: ${there.why}`, {
      ...(note.drops === "pin" ? { hint: `drops unpin ${note.snapshot}` } : {}),
    });
  }
  if (there) return await removeNote(store, note, how);
  const left = signatureKey(noteKey(note));
  const isLeft = await store.get(left, { ...how, maxSize: 65_536 }).then(
    () => true,
    (error: unknown) => (isFailure(error, "store/missing") ? false : Promise.reject(error)),
  );
  if (isLeft) await store.remove(left, how);
}

/** The end of a day, or a time. Throws usage/invalid when it is not ahead. */
function endOf(words: string, zone: string, now: Date): Date {
  const wanted = parseDateWords(words, { zone, now });
  const at = wanted.kind === "day" ? wanted.to : wanted.kind === "time" ? wanted.at : undefined;
  if (at && at > now) return at;
  throw new DropsError("usage/invalid", `"${words.slice(0, 80)}" is not a date in the future`, {
    hint: "--until 2027-03-31",
  });
}
