import type { ReplacementState } from "../run/replacement.ts";
import type { PathPart, PathRecord } from "./record.ts";

/** What is there of one path, as the host's script prints it: one digit each, in this order. */
export interface PartLook {
  readonly whole: boolean;
  readonly fresh: boolean;
  readonly old: boolean;
  readonly absent: boolean;
  readonly out: boolean;
  readonly real: boolean;
}

/** `partial`: a swap was broken off, or putting back. It is finished by the one and taken back by the other. */
type PartState = "staging" | "staged" | "partial" | "swapped";

export function parseLook(digits: string): PartLook {
  const [whole, fresh, old, absent, out, real] = Array.from(digits, (digit) => digit === "1");
  if (digits.length !== 6 || real === undefined) throw new RangeError(`${digits} is no look at a path`);
  return { whole: !!whole, fresh: !!fresh, old: !!old, absent: !!absent, out: !!out, real };
}

/** How far a replacement of paths is. One that is half swapped is staged: swap goes on, everything else takes it back. Pure. */
export function pathState(record: PathRecord | undefined, looks: readonly PartLook[]): ReplacementState {
  if (record === undefined) return "untouched";
  if (record.finishing) return "finished";
  if (record.parts.length === 0) return record.empty ?? "staging";
  const states = record.parts.map((part, index) => partState(part, looks[index]));
  if (states.every((state) => state === "swapped")) return "swapped";
  return states.includes("staging") ? "staging" : "staged";
}

function partState({ mode }: PathPart, look: PartLook | undefined): PartState {
  if (!look?.whole) return "staging";
  const { fresh, old, absent, out, real } = look;
  const isSwapped = mode === "rename" ? !fresh && (old || absent) && real : !fresh && old && out;
  if (isSwapped) return "swapped";
  if (!fresh) return "staging"; // somebody took it away: it is brought anew
  return old || absent ? "partial" : "staged";
}
