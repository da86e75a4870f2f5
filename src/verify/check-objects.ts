import type { Cancel } from "../lib/cancel.ts";
import { isFailure } from "../lib/errors.ts";
import { mapLimit } from "../lib/map-limit.ts";
import type { BlobChecker } from "../store/blob-store.ts";
import type { DamageBook } from "./damage-book.ts";
import { hurtBy, type NeededObject } from "./needed-objects.ts";

/** A server is asked for one after the other, a disk is read by few at once. */
const AT_ONCE = { upload: 16, bytes: 2 } as const;

export interface CheckedObjects {
  /** Objects whose checksum was compared with their name. */
  readonly compared: number;
  /** There with their size, and nothing more is known: the server keeps no checksum of them, or may not be asked. */
  readonly sizeOnly: number;
  readonly from: BlobChecker["checksumsFrom"];
  readonly notes: readonly string[];
}

/**
 * Compare what the store itself knows of its objects with their names; needs no key, and no bytes come here from a server.
 * What differs goes into `damage`. Folders that the credential may not ask about are left out, and said.
 */
export async function checkObjects(
  store: BlobChecker,
  objects: readonly NeededObject[],
  damage: DamageBook,
  how: Cancel & { readonly onChecked?: (bytes: number) => void },
): Promise<CheckedObjects> {
  const refused = new Set<string>();
  let [compared, unknown] = [0, 0];
  const check = async (object: NeededObject, signal: AbortSignal) => {
    return { object, found: await ask(store, object, refused, { signal }) };
  };
  const there = objects.filter(({ listed }) => listed);
  for await (const { object, found } of mapLimit(there, AT_ONCE[store.checksumsFrom], check, how.signal)) {
    how.onChecked?.(object.size);
    if (found === "unknown") unknown++;
    if (found === "unknown" || found === "refused") continue;
    compared++;
    if (found !== object.sha256) damage.add(object.key, PROBLEMS[found] ?? DIFFERS, hurtBy(object.states));
  }
  return {
    compared,
    sizeOnly: there.length - compared,
    from: store.checksumsFrom,
    notes: notesOf(refused, unknown),
  };
}

const DIFFERS = "does not hold the bytes that its name promises, by the checksum that the store has of it";
const PROBLEMS: Readonly<Record<string, string>> = { gone: "vanished while it was to be checked" };

async function ask(
  store: BlobChecker,
  { key }: NeededObject,
  refused: Set<string>,
  how: Cancel,
): Promise<string> {
  if (refused.has(folderOf(key))) return "refused";
  try {
    return (await store.checksum(key, how)) ?? "unknown";
  } catch (error) {
    if (isFailure(error, "store/missing")) return "gone";
    if (!isFailure(error, "store/refused")) throw error;
    refused.add(folderOf(key));
    return "refused";
  }
}

function notesOf(refused: ReadonlySet<string>, unknown: number): string[] {
  const folders = [...refused].sort().join(", ");
  const denied = `this credential may not ask for checksums below ${folders}: names and sizes only there`;
  const none = `the server keeps no SHA-256 of ${unknown} objects: names and sizes only`;
  return [...(refused.size > 0 ? [denied] : []), ...(unknown > 0 ? [none] : [])];
}

/** `ops/packs`: what a role may do differs from folder to folder. */
function folderOf(key: string): string {
  return key.split("/").slice(0, 2).join("/");
}
