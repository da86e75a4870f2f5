import { someOf } from "../lib/words.ts";
import { filesNeeding, type RestorePlan } from "./plan.ts";

const NAMED = 3;

/** What is lost with a pack, as the end of a sentence. */
export function lostWith(plan: RestorePlan, pack: number, source: string): string {
  const { count, names } = filesNeeding(plan, pack, NAMED);
  return `with it ${source} loses ${someOf(names, { total: count })}`;
}
