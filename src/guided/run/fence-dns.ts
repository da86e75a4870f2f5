import { lookup, Resolver } from "node:dns/promises";
import { isIP } from "node:net";
import type { Cancel } from "../../lib/cancel.ts";

export interface NamedAddress {
  readonly address: string;
  /** Seconds for which others may still use an answer of now; undefined: it is this machine's own knowledge (/etc/hosts). */
  readonly ttl: number | undefined;
}

/** Addresses of a name; none when it has none or does not exist. Throws when that could not be asked. */
export type Resolve = (name: string, how: Cancel) => Promise<readonly NamedAddress[]>;

const ANSWER_WITHIN_MS = 5000;
const MOST = 20;
const NOTHING = new Set(["ENOTFOUND", "ENODATA"]);

/** What DNS tells the world, and what this machine alone knows, which SSH may have used. */
export const resolveName: Resolve = async (name, how) => {
  how.signal.throwIfAborted();
  if (isIP(name)) return [{ address: name, ttl: undefined }];
  const resolver = new Resolver({ timeout: ANSWER_WITHIN_MS, tries: 1 });
  const stop = () => resolver.cancel();
  how.signal.addEventListener("abort", stop, { once: true });
  try {
    const [here, ...dns] = await Promise.allSettled([
      lookup(name, { all: true }),
      resolver.resolve4(name, { ttl: true }),
      resolver.resolve6(name, { ttl: true }),
    ]);
    how.signal.throwIfAborted();
    const known = new Map<string, NamedAddress>();
    for (const { address } of answerOf(here) ?? []) known.set(address, { address, ttl: undefined });
    for (const answer of dns) for (const each of answerOf(answer) ?? []) known.set(each.address, each);
    const failed = dns.find((answer) => answerOf(answer) === undefined);
    if (known.size === 0 && failed?.status === "rejected") throw failed.reason;
    return [...known.values()].slice(0, MOST);
  } finally {
    how.signal.removeEventListener("abort", stop);
  }
};

/** Nothing for a name that has none; undefined when nobody answered. */
function answerOf<T>(settled: PromiseSettledResult<T[]>): readonly T[] | undefined {
  if (settled.status === "fulfilled") return settled.value;
  return NOTHING.has((settled.reason as NodeJS.ErrnoException).code ?? "") ? [] : undefined;
}
