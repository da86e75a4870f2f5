import { appendFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { beforeEach } from "node:test";
import type { Mutant } from "./mutants.ts";

/** Preloaded into a test process by the mutation campaign: one module is loaded with one fault in it, or it is noted which are loaded. */
const { url, mutant, note } = JSON.parse(process.env["DROPS_MUTANT"] ?? "{}") as {
  url?: string;
  mutant?: Mutant;
  /** A file for the URLs of all modules, a line each. */
  note?: string;
};

// The reporter gets its turn between two tests: else it hears of a failure when the last one is over.
beforeEach(() => new Promise((resolve) => setImmediate(resolve)));

registerHooks({
  load(asked, context, next) {
    const loaded = next(asked, context);
    if (note !== undefined) appendFileSync(note, `${asked}\n`);
    if (asked !== url || mutant === undefined) return loaded;
    const source = String(loaded.source);
    return { ...loaded, source: source.slice(0, mutant.start) + mutant.text + source.slice(mutant.end) };
  },
});
