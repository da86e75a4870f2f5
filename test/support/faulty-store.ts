import { DropsError } from "../../src/lib/errors.ts";
import type { BlobStore, VersionedStore } from "../../src/store/blob-store.ts";

export type StoreCall =
  | "get"
  | "checksum"
  | "list"
  | "now"
  | "put"
  | "remove"
  | "removeAll"
  | "listVersions"
  | "getVersion"
  | "lockOf"
  | "extendLock";

export interface Fault {
  /** The how-manieth of the calls that match, from 1. Every one from then on with `stays`. */
  readonly nth: number;
  readonly stays?: boolean;
  /** Which calls are counted; without it all of them. */
  readonly call?: StoreCall;
  readonly key?: RegExp;
  /** `before`: nothing was done. `after`: it was done, and the answer was lost. */
  readonly when: "before" | "after";
  /** What is thrown; default: store/unavailable. May also act (kill, abort) and return nothing to let the call go on. */
  readonly error?: (call: StoreCall, key: string) => Error | undefined;
}

export interface FaultyStore extends BlobStore {
  /** Every call so far, in order: `put p/packs/…`. */
  readonly calls: readonly string[];
}

/** A store that fails at chosen calls, so that a verb can be interrupted at every one of them in turn. */
export function faultyStore(inner: BlobStore, plan: readonly Fault[]): FaultyStore {
  const { calls, strike, around } = striking(plan);
  return { ...plainCalls(inner, strike, around), calls };
}

/** The same, of one that keeps versions. */
export function faultyVersions(inner: VersionedStore, plan: readonly Fault[]): FaultyStore & VersionedStore {
  const { calls, strike, around } = striking(plan);
  return {
    ...plainCalls(inner, strike, around),
    calls,
    getVersion: (key, version, how) => around("getVersion", key, () => inner.getVersion(key, version, how)),
    lockOf: (key, version, how) => around("lockOf", key, () => inner.lockOf(key, version, how)),
    extendLock: (key, version, lock, how) =>
      around("extendLock", key, () => inner.extendLock(key, version, lock, how)),
    async *listVersions(prefix, how) {
      const faults = strike("listVersions", prefix);
      fail(faults, "before", "listVersions", prefix);
      yield* inner.listVersions(prefix, how);
      fail(faults, "after", "listVersions", prefix);
    },
  };
}

type Strike = (call: StoreCall, key: string) => readonly Fault[];
type Around = <Result>(call: StoreCall, key: string, work: () => Promise<Result>) => Promise<Result>;

function striking(plan: readonly Fault[]): { calls: string[]; strike: Strike; around: Around } {
  const calls: string[] = [];
  const counts = plan.map(() => 0);
  /** The faults that strike at this call. */
  const strike = (call: StoreCall, key: string): readonly Fault[] => {
    calls.push(`${call} ${key}`);
    return plan.filter((fault, at) => {
      if ((fault.call ?? call) !== call || fault.key?.test(key) === false) return false;
      const count = (counts[at] ?? 0) + 1;
      counts[at] = count;
      return fault.stays ? count >= fault.nth : count === fault.nth;
    });
  };
  const around = async <Result>(
    call: StoreCall,
    key: string,
    work: () => Promise<Result>,
  ): Promise<Result> => {
    const faults = strike(call, key);
    fail(faults, "before", call, key);
    const result = await work();
    fail(faults, "after", call, key);
    return result;
  };
  return { calls, strike, around };
}

function plainCalls(inner: BlobStore, strike: Strike, around: Around): BlobStore {
  return {
    label: inner.label,
    checksumsFrom: inner.checksumsFrom,
    checksum: (key, how) => around("checksum", key, () => inner.checksum(key, how)),
    get: (key, how) => around("get", key, () => inner.get(key, how)),
    now: (how) => around("now", "", () => inner.now(how)),
    put: (key, bytes, how) => around("put", key, () => inner.put(key, bytes, how)),
    remove: (key, how) => around("remove", key, () => inner.remove(key, how)),
    removeAll: (keys, how) =>
      around("removeAll", `${keys.length} ${keys[0] ?? ""}`, () => inner.removeAll(keys, how)),
    async *list(prefix, how) {
      const faults = strike("list", prefix);
      fail(faults, "before", "list", prefix);
      yield* inner.list(prefix, how);
      fail(faults, "after", "list", prefix);
    },
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  };
}

function fail(faults: readonly Fault[], when: Fault["when"], call: StoreCall, key: string): void {
  for (const fault of faults.filter((one) => one.when === when)) {
    const error = fault.error
      ? fault.error(call, key)
      : new DropsError("store/unavailable", `${call} ${key}: the connection was cut`);
    if (error) throw error;
  }
}
