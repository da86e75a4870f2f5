import type { Cancel } from "../../lib/cancel.ts";
import { refused } from "../../lib/errors.ts";

/**
 * How far a replacement has come, told by what is on the host and nothing else.
 *
 * - `untouched`: nothing was begun, or it was put back and the new was removed
 * - `staging`: the new is being brought beside the old, or that was broken off: it is begun anew
 * - `staged`: the new is beside the old, whole and on disk
 * - `swapped`: the new is in place, the old is kept aside
 * - `finished`: the new is in place, the old is gone: no way back
 */
export type ReplacementState = "untouched" | "staging" | "staged" | "swapped" | "finished";

/** The new is in place, whatever is left of the old. */
export function isSwapped(state: ReplacementState): state is "swapped" | "finished" {
  return state === "swapped" || state === "finished";
}

export async function isInPlace(replacement: Replacement, how: Cancel): Promise<boolean> {
  return isSwapped(await replacement.state(how));
}

export function replacementOf(
  { replacements }: { readonly replacements: ReadonlyMap<string, Replacement> },
  group: string,
): Replacement {
  const found = replacements.get(group);
  if (!found) throw new RangeError(`no replacement for ${group}`);
  return found;
}

export interface Staged {
  readonly files: number;
  /** Of content. */
  readonly bytes: number;
  /** What the operator should know. */
  readonly notes: readonly string[];
}

/** What is told of a replacement that was staged, and notes nothing of it. */
export const NOTHING_STAGED: Staged = { files: 0, bytes: 0, notes: [] };

/**
 * Something on the host that a restore replaces and can put back: the paths of a source, or a database. All that it
 * knows lies on the host, so that any machine can go on after any crash: every verb looks first at what is there and
 * does what is left of its work. Calling one again after it succeeded does nothing. The services that use it are
 * stopped and gated meanwhile; no verb starts or stops one. Same promises for all (test/contracts/replacement.ts).
 */
export interface Replacement {
  /** For sentences: `database mautrix_slack`, `/var/lib/mautrix-slack`. */
  readonly label: string;
  /** Name of the source, or of the first one of several that are swapped together. */
  readonly source: string;
  state(how: Cancel): Promise<ReplacementState>;
  /** Bring the new beside the old. Resolves when it is whole and on disk. Throws what the reading of the snapshot throws; space/low; host/… */
  stage(how: Cancel & { readonly onBytes?: (bytes: number) => void }): Promise<Staged>;
  /** Compare what is staged, or in place once swapped and not yet started, with the snapshot: differences in words; empty means as captured. */
  check(how: Cancel): Promise<readonly string[]>;
  /** Put the new in place and keep the old aside. */
  swap(how: Cancel): Promise<void>;
  /** Put the old back in place, as it was to the last bit, and keep the new aside as staged. Throws safety/refused once finished. */
  unswap(how: Cancel): Promise<void>;
  /** Remove what is staged and not in place. Throws safety/refused when it is in place. */
  discard(how: Cancel): Promise<void>;
  /** What the old that is kept aside holds and no source does, in words: `finish` would remove the only copy. */
  onlyInOld(how: Cancel): Promise<readonly string[]>;
  /** Remove the old that was kept aside. Throws safety/refused unless swapped or finished, or when it holds the only copy of something. */
  finish(how: Cancel): Promise<void>;
}

/** What every replacement refuses, in the same words. */
export function refusalsOf(label: string) {
  return {
    notStaged: (toDo: "compare" | "put in place") =>
      refused(`${label} is not staged: there is nothing to ${toDo}`),
    inPlace: () => refused(`the restored ${label} is in place`, "drops rollback puts the old back first"),
    notInPlace: () => refused(`the restored ${label} is not in place: what is there now is not removed`),
    noWayBack: () => refused(`the old ${label} was removed: there is no way back`),
  };
}
