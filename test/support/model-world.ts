import { setImmediate as turn } from "node:timers/promises";
import type { BlobInfo, BlobStore } from "../../src/store/blob-store.ts";
import { crash } from "./model.ts";
import type { ModelLedger } from "./model-ledger.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** No store that keeps its word is further behind. */
const MOST_STALE = HOUR;
const MOST_STALL = 60 * HOUR;
/** A process makes about as many. */
const CALLS = 45;

interface Waiting {
  readonly actor: Actor;
  readonly go: () => void;
}

interface Actor {
  readonly store: BlobStore;
  expireAt(at: Date): void;
}

export interface WorldOptions {
  readonly random: () => number;
  readonly clock: { now: Date };
  readonly ledger: ModelLedger;
  /** Of all processes, so many are killed at one of their calls, before or after its effect. */
  readonly crashes: number;
  /** So many stand still before one of their calls, for MOST_STALL at most. */
  readonly stalls: number;
  /** Of all listings, so many say what was so a while ago: the store's own fault. */
  readonly stale: number;
}

/**
 * Several processes on one store, of which one at a time makes a call. Who is next, how long it takes, who is killed and who
 * stalls for a day is chance, and the same chance for the same seed.
 */
export class ModelWorld {
  readonly #options: WorldOptions;
  readonly #waiting: Waiting[] = [];
  #running = 0;
  steps = 0;
  killed = 0;

  constructor(options: WorldOptions) {
    this.#options = options;
  }

  /** A process that does `work` again and again, `pause` hours at most in between, until the world ends. */
  start(until: Date, pause: number, work: (actor: Actor) => Promise<void>): void {
    const { random, clock } = this.#options;
    this.#running++;
    const live = async () => {
      for (;;) {
        const wake = clock.now.getTime() + random() * pause * HOUR;
        await this.#sleep(wake);
        if (clock.now > until) return;
        await work(this.#actor());
      }
    };
    void live().then(
      () => this.#running--,
      (error: unknown) => {
        this.#failed = error;
        this.#running--;
      },
    );
  }

  #failed: unknown;
  readonly #sleeping = new Map<() => void, number>();

  #sleep(until: number): Promise<void> {
    return new Promise((resolve) => this.#sleeping.set(resolve, until));
  }

  /** Until every process has come to its end. Throws what one of them threw. */
  async run(): Promise<void> {
    const { random, clock } = this.#options;
    for (;;) {
      await turn();
      if (this.#failed !== undefined) throw this.#failed;
      if (this.#running === 0) return;
      this.#wakeUp();
      await turn();
      const next = this.#waiting.splice(Math.floor(random() * this.#waiting.length), 1)[0];
      if (next) {
        this.steps++;
        clock.now = new Date(clock.now.getTime() + random() * 2 * MINUTE);
        next.go();
      } else {
        const earliest = Math.min(...this.#sleeping.values());
        if (Number.isFinite(earliest))
          clock.now = new Date(Math.max(Math.ceil(earliest), clock.now.getTime()));
      }
    }
  }

  #wakeUp(): void {
    const now = this.#options.clock.now.getTime();
    for (const [wake] of [...this.#sleeping].filter(([, at]) => at <= now)) {
      this.#sleeping.delete(wake);
      wake();
    }
  }

  async *#list(
    prefix: string,
    call: (work: () => Promise<BlobInfo[]>) => Promise<BlobInfo[]>,
  ): AsyncGenerator<BlobInfo> {
    const { random, clock, ledger, stale } = this.#options;
    yield* await call(async () => {
      const behind = random() < stale ? random() * MOST_STALE : 0;
      return ledger.listedAt(prefix, new Date(clock.now.getTime() - behind));
    });
  }

  #actor(): Actor {
    const { random, clock, crashes, stalls } = this.#options;
    const { store } = this.#options.ledger;
    let expires: Date | undefined;
    let isDead = false;
    let calls = 0;
    const oneOf = (share: number) => (random() < share ? Math.floor(random() * CALLS) : -1);
    const [stallAt, killAt] = [oneOf(stalls), oneOf(crashes)];
    const actor: Actor = {
      expireAt: (at) => {
        expires = at;
      },
      store: {
        label: "model",
        checksumsFrom: "bytes",
        checksum: (key, how) => call(() => store.checksum(key, how)),
        get: (key, how) => call(() => store.get(key, how)),
        now: (how) => call(() => store.now(how)),
        put: (key, bytes, how) =>
          call(async () => {
            if (expires && clock.now > expires) throw crash();
            await store.put(key, bytes, how);
          }),
        remove: (key, how) => call(() => store.remove(key, how)),
        removeAll: (keys, how) => call(() => store.removeAll(keys, how)),
        list: (prefix) => this.#list(prefix, call),
        [Symbol.asyncDispose]: async () => {},
      },
    };
    const hold = async () => {
      if (isDead) throw crash();
      await new Promise<void>((go) => this.#waiting.push({ actor, go }));
      if (calls++ === stallAt) await this.#sleep(clock.now.getTime() + random() * MOST_STALL);
      if (isDead) throw crash();
    };
    const call = async <Result>(work: () => Promise<Result>): Promise<Result> => {
      await hold();
      isDead = calls === killAt;
      const isKilled = isDead;
      if (isKilled) this.killed++;
      if (isKilled && random() < 0.5) throw crash();
      const result = await work();
      if (isKilled) throw crash();
      return result; // what a listing says may be old by the time it is looked at
    };
    return actor;
  }
}
