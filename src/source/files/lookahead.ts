import type { Host } from "../../host/host.ts";
import type { Cancel } from "../../lib/cancel.ts";
import type { FileListing } from "./listing.ts";
import type { FileDecision } from "./plan.ts";
import { TarSession } from "./tar-session.ts";

/** How far ahead of the file at hand tar is asked: far enough that it does not wait for names, bounded in memory. */
const AHEAD = 8192;
/** So many files at most are asked for at once when their content turns out not to be in the store any more. */
const MAX_RESCUED = 1000;

/** A decision, and the tar that was asked for the file if one was. */
export interface PlannedRead {
  readonly decision: FileDecision;
  session: TarSession | undefined;
}

/** Asks tar for the files of decisions that are still to come, so that decisions are taken in order without waiting. */
export class Lookahead implements AsyncDisposable {
  readonly #plan: AsyncGenerator<FileDecision>;
  readonly #listing: FileListing;
  readonly #startTar: () => Promise<TarSession>;
  /** Packs that an unchanged file needs and the store does not have: what lies in them is read again. */
  readonly #lostPacks = new Set<number>();
  readonly #sessions: TarSession[] = [];
  #main: TarSession | undefined;
  #steps: PlannedRead[] = [];
  #at = 0;
  #planned = false;

  constructor(
    plan: AsyncGenerator<FileDecision>,
    listing: FileListing,
    tar: { readonly host: Host; readonly source: string },
    how: Cancel,
  ) {
    this.#plan = plan;
    this.#listing = listing;
    this.#startTar = async () => {
      const session = await TarSession.start(tar.host, tar.source, how);
      this.#sessions.push(session);
      return session;
    };
  }

  get sessions(): readonly TarSession[] {
    return this.#sessions;
  }

  async next(): Promise<PlannedRead | undefined> {
    if (!this.#planned && this.#steps.length - this.#at <= AHEAD / 2) await this.#planMore();
    return this.#steps[this.#at++];
  }

  /** Ask another tar for one file that no tar was asked for. */
  async askAlone(position: number): Promise<TarSession> {
    const session = await this.#startTar();
    session.ask(this.#listing.path(position));
    session.end();
    return session;
  }

  /**
   * Ask another tar for a file whose earlier content the store does not have, and for those of the files that were planned
   * already which need the same packs. What is planned later is asked of the main one.
   */
  async askAgain(step: PlannedRead): Promise<TarSession> {
    for (const pack of packsOf(step.decision)) this.#lostPacks.add(pack);
    const session = await this.#startTar();
    session.ask(this.#listing.path(step.decision.position));
    let asked = 1;
    for (let at = this.#at; at < this.#steps.length && asked < MAX_RESCUED; at++) {
      const later = this.#steps[at];
      if (!later || later.session || !this.#isLost(later.decision)) continue;
      later.session = session;
      session.ask(this.#listing.path(later.decision.position));
      asked++;
    }
    session.end();
    return session;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const session of this.#sessions) await session[Symbol.asyncDispose]();
    await this.#plan.return(undefined);
  }

  async #planMore(): Promise<void> {
    this.#steps = this.#steps.slice(this.#at);
    this.#at = 0;
    while (this.#steps.length < AHEAD) {
      const next = await this.#plan.next();
      if (next.done) {
        this.#planned = true;
        this.#main?.end();
        return;
      }
      this.#steps.push({ decision: next.value, session: await this.#ask(next.value) });
    }
    this.#main?.push();
  }

  async #ask(decision: FileDecision): Promise<TarSession | undefined> {
    if (decision.act !== "read" && decision.act !== "reread" && !this.#isLost(decision)) return undefined;
    this.#main ??= await this.#startTar();
    this.#main.ask(this.#listing.path(decision.position));
    return this.#main;
  }

  #isLost(decision: FileDecision): boolean {
    if (this.#lostPacks.size === 0) return false;
    return packsOf(decision).some((pack) => this.#lostPacks.has(pack));
  }
}

function packsOf(decision: FileDecision): readonly number[] {
  return decision.act === "keep" ? decision.previous.chunks.map((chunk) => chunk.pack) : [];
}
