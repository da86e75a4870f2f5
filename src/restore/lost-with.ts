import { someOf } from "../lib/words.ts";
import { shownPath } from "../source/files/shown-path.ts";
import type { RestorePlan } from "./plan.ts";

const NAMED = 3;

/** What is lost with a pack, as the end of a sentence. */
export function lostWith(plan: RestorePlan, pack: number, source: string): string {
  const lost = plan.files.filter(({ chunks }) => chunks.some((chunk) => plan.ledger.packOf(chunk) === pack));
  const names = lost.slice(0, NAMED).map(({ path }) => shownPath(path));
  return `with it ${source} loses ${someOf(names, { total: lost.length })}`;
}
