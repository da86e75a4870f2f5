import type { Cancel } from "../../lib/cancel.ts";
import { DropsError } from "../../lib/errors.ts";
import { bytesOf, type ReplacementGroup } from "../plan/groups.ts";
import type { RestorePorts, RunReporter } from "./ports.ts";
import { isSwapped, type Replacement, replacementOf, type Staged } from "./replacement.ts";

/** At most so many sources are brought at the same time: each keeps packs and threads under way. */
const AT_ONCE = 2;

export interface StagerParts {
  readonly ports: Pick<RestorePorts, "journal" | "replacements">;
  readonly reporter: RunReporter;
  readonly now: () => Date;
}

/**
 * Brings groups beside the live data, two at a time and ahead of the steps that swap them. A group that fails does not
 * stop the others: its own step throws it. Closing it breaks off what is under way, and waits for that.
 */
export class Stager implements AsyncDisposable {
  readonly #parts: StagerParts;
  readonly #jobs = new Map<string, Promise<void>>();
  readonly #stop = new AbortController();
  #all: Promise<unknown> = Promise.resolve();

  constructor(parts: StagerParts) {
    this.#parts = parts;
  }

  /** Once. Groups that are staged or in place already are passed over. */
  begin(groups: readonly ReplacementGroup[], how: Cancel): void {
    const total = groups.reduce((sum, group) => sum + bytesOf(group), 0);
    const progress = this.#parts.reporter.progress("all sources");
    const signal = AbortSignal.any([how.signal, this.#stop.signal]);
    let done = 0;
    const queue = groups.map((group) => {
      let [resolve, reject]: [() => void, (error: unknown) => void] = [() => {}, () => {}];
      const promise = new Promise<void>((fulfil, refuse) => {
        [resolve, reject] = [fulfil, refuse];
      });
      promise.catch(() => {}); // thrown by whenStaged
      this.#jobs.set(group.name, promise);
      const onBytes = (bytes: number) => {
        done += bytes;
        progress.update(done, total, group.name);
      };
      return { run: () => this.#stage(group, onBytes, { signal }).then(resolve, reject) };
    });
    const work = async () => {
      for (let next = queue.shift(); next; next = queue.shift()) await next.run();
    };
    this.#all = Promise.all(Array.from({ length: AT_ONCE }, work)).then(() => progress.done());
  }

  /** Resolves when the group is staged, or was in place already. Throws what staging it threw. */
  async whenStaged(name: string): Promise<void> {
    const job = this.#jobs.get(name);
    if (!job) throw new RangeError(`group ${name} was not begun`);
    await job;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new DropsError("interrupted", "the restore ended before all data arrived"));
    await this.#all;
  }

  async #stage(group: ReplacementGroup, onBytes: (bytes: number) => void, how: Cancel): Promise<void> {
    how.signal.throwIfAborted();
    const { ports, now } = this.#parts;
    const replacement = replacementOf(ports, group.name);
    const state = await replacement.state(how);
    if (state === "staged" || isSwapped(state)) return;
    const began = now().getTime();
    const { files, bytes, notes } = await this.#bring(replacement, group, onBytes, how);
    const seconds = (now().getTime() - began) / 1000;
    await ports.journal.append(
      {
        event: "staged",
        group: group.name,
        kind: group.kind,
        files,
        bytes,
        seconds,
        notes: notes.slice(0, 50),
      },
      how,
    );
    for (const note of notes) this.#parts.reporter.say(`${group.name}: ${note}`);
  }

  /** With a progress of its own beside that of all. */
  async #bring(
    replacement: Replacement,
    group: ReplacementGroup,
    onBytes: (bytes: number) => void,
    how: Cancel,
  ): Promise<Staged> {
    const progress = this.#parts.reporter.progress(replacement.label);
    const total = bytesOf(group);
    let done = 0;
    try {
      return await replacement.stage({
        ...how,
        onBytes: (bytes) => {
          done += bytes;
          progress.update(done, total);
          onBytes(bytes);
        },
      });
    } finally {
      progress.done();
    }
  }
}
