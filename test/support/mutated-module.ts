import { registerHooks } from "node:module";
import type { Mutant } from "./mutants.ts";

/** Preloaded into a test process by the mutation campaign: one module is loaded with one fault in it. */
const { url, mutant } = JSON.parse(process.env["DROPS_MUTANT"] ?? "{}") as { url?: string; mutant?: Mutant };

registerHooks({
  load(asked, context, next) {
    const loaded = next(asked, context);
    if (asked !== url || mutant === undefined) return loaded;
    const source = String(loaded.source);
    return { ...loaded, source: source.slice(0, mutant.start) + mutant.text + source.slice(mutant.end) };
  },
});
