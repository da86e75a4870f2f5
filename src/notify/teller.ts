import type { Cancel } from "../lib/cancel.ts";
import type { Outcome } from "./alert.ts";
import { compose } from "./compose.ts";
import { listeners } from "./decide.ts";
import { deliverAll } from "./deliver.ts";
import { complain, openBook, type TellParts, tell } from "./tell.ts";

/** When the run was broken off, systemd or a person waits. */
const HURRIED_MS = 10_000;

/** Tells how one run of a verb goes. It never throws, and nothing takes longer than the limit. */
export interface Teller {
  /** In the background: the work need not wait for it. */
  start(): void;
  /** `hurried`: in ten seconds at most. The signal breaks off. */
  end(outcome: Outcome, how: { readonly hurried: boolean } & Cancel): Promise<void>;
}

export function tellerOf(parts: TellParts): Teller {
  const begun = new AbortController();
  let starting: Promise<void> = Promise.resolve();
  return {
    start: () => {
      starting = tellStart(parts, begun.signal);
    },
    end: async (outcome, { hurried, signal }) => {
      begun.abort(new Error("it has ended")); // first: a start that is told late must not overtake the end
      await starting;
      const limitMs = hurried ? Math.min(HURRIED_MS, parts.limitMs) : parts.limitMs;
      await tell(parts, { book: await openBook(parts), outcome }, { limitMs, signal });
    },
  };
}

async function tellStart(parts: TellParts, signal: AbortSignal): Promise<void> {
  const letters = listeners(parts.channels, parts.run.verb, "start").map((channel) => {
    const alert = compose(parts.run, { id: parts.id(), event: "start", reminder: false, at: parts.now() });
    return { channel, alert };
  });
  const deliveries = await deliverAll(letters, { limitMs: parts.limitMs, signal });
  if (!signal.aborted) complain(parts, deliveries);
}
