import { setImmediate as turn } from "node:timers/promises";
import type { BlobInfo, BlobStore } from "../../src/store/blob-store.ts";
import { crash } from "./model.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

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
  readonly store: BlobStore;
  /** Of all calls, so many kill who makes them, before or after their effect. */
  readonly crashes: number;
  readonly stalls: number;
  /** After every call that took something away. */
  readonly onRemoved: () => Promise<void>;
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

  #actor(): Actor {
    const { store, random, clock, crashes, stalls, onRemoved } = this.#options;
    let expires: Date | undefined;
    let isDead = false;
    const actor: Actor = {
      expireAt: (at) => {
        expires = at;
      },
      store: {
        label: "model",
        get: (key, how) => call(() => store.get(key, how)),
        now: (how) => call(() => store.now(how)),
        put: (key, bytes, how) =>
          call(async () => {
            if (expires && clock.now > expires) throw crash();
            await store.put(key, bytes, how);
          }),
        remove: (key, how) => call(() => store.remove(key, how), true),
        removeAll: (keys, how) => call(() => store.removeAll(keys, how), true),
        async *list(prefix, how) {
          yield* await call(async () => {
            const found: BlobInfo[] = [];
            for await (const blob of store.list(prefix, how)) found.push(blob);
            return found;
          });
        },
        [Symbol.asyncDispose]: async () => {},
      },
    };
    const hold = async () => {
      if (isDead) throw crash();
      await new Promise<void>((go) => this.#waiting.push({ actor, go }));
      if (random() < stalls) await this.#sleep(clock.now.getTime() + random() * 40 * HOUR);
      if (isDead) throw crash();
    };
    const call = async <Result>(work: () => Promise<Result>, removes = false): Promise<Result> => {
      await hold();
      isDead = random() < crashes;
      const isKilled = isDead;
      if (isKilled) this.killed++;
      if (isKilled && random() < 0.5) throw crash();
      const result = await work();
      if (removes) await onRemoved();
      if (isKilled) throw crash();
      return result; // what a listing says may be old by the time it is looked at
    };
    return actor;
  }
}
