import type { Cancel } from "../lib/cancel.ts";
import { type DropsError, isFailure } from "../lib/errors.ts";
import type { DrillCheck, DrillReport } from "./report.ts";

export type CheckOutcome = DrillCheck["outcome"];
export type CheckFinding = Pick<DrillCheck, "outcome" | "found" | "hint">;
/** What is checked. */
export type CheckTitle = Pick<DrillCheck, "id" | "source" | "name">;

/** Longer findings are cut: they may quote what a foreign program said. */
const MOST_CHARACTERS = 2000;

/** Runs checks one after the other and keeps what they found. Never throws for a failure that was foreseen. */
export class CheckBook {
  readonly checks: DrillCheck[] = [];
  readonly notTested: DrillReport["notTested"][number][] = [];
  readonly notes: string[] = [];
  readonly #now: () => Date;
  readonly #began: number;
  readonly #say: (line: string) => void;
  readonly #explain: (error: DropsError) => DropsError;

  constructor(how: {
    readonly now: () => Date;
    readonly say: (line: string) => void;
    readonly explain?: (error: DropsError) => DropsError;
  }) {
    this.#now = how.now;
    this.#began = how.now().getTime();
    this.#say = how.say;
    this.#explain = how.explain ?? ((error) => error);
  }

  /** Seconds since the drill began. */
  get elapsed(): number {
    return (this.#now().getTime() - this.#began) / 1000;
  }

  /**
   * Run one check; a string means that it passed. Answers what it came to.
   *
   * @throws whatever is no DropsError (a bug), and the signal's reason
   */
  async run(title: CheckTitle, work: () => Promise<CheckFinding | string>, how: Cancel): Promise<DrillCheck> {
    how.signal.throwIfAborted();
    const began = this.elapsed;
    const finding = await this.#finding(work, how);
    const found = cut(finding.found);
    const check = { ...title, ...finding, found, began, seconds: this.elapsed - began };
    this.checks.push(check);
    const where = title.source === undefined ? "" : `${title.source}: `;
    this.#say(`${where}${title.name}: ${WORDS[check.outcome]}${found === "" ? "" : `, ${found}`}`);
    return check;
  }

  /** Keep a check that somebody else ran. */
  append(check: DrillCheck): void {
    this.checks.push({ ...check, found: cut(check.found) });
  }

  /** A check that could not run, and that the others make up for: it becomes something that was not tested. */
  doWithout(check: DrillCheck, others: string): void {
    const { source, name, found } = check;
    this.checks.splice(this.checks.indexOf(check), 1);
    this.skip(source === undefined ? name : `${source}: ${name}`, `${found}; ${others}`);
  }

  skip(what: string, why: string): void {
    this.notTested.push({ what, why });
  }

  note(...lines: readonly string[]): void {
    this.notes.push(...lines.map(cut));
  }

  async #finding(work: () => Promise<CheckFinding | string>, how: Cancel): Promise<CheckFinding> {
    try {
      const finding = await work();
      return typeof finding === "string" ? passed(finding) : finding;
    } catch (error) {
      how.signal.throwIfAborted();
      if (!isFailure(error)) throw error;
      return findingOf(this.#explain(error));
    }
  }
}

export function passed(found: string): CheckFinding {
  return { outcome: "passed", found };
}

export function failed(found: string, hint?: string): CheckFinding {
  return { outcome: "failed", found, ...(hint === undefined ? {} : { hint }) };
}

export function couldNotRun(found: string, hint?: string): CheckFinding {
  return { outcome: "could-not-run", found, ...(hint === undefined ? {} : { hint }) };
}

/** A failure as a finding: damage is told apart, what kept the check from looking proves nothing. */
export function findingOf(error: DropsError): CheckFinding {
  const { message: found, hint } = error;
  const outcome = isFailure(error, "data/damaged", "data/missing", "store/missing")
    ? "damaged"
    : isFailure(error, "source/failed", "host/command-failed", "signature/untrusted")
      ? "failed"
      : "could-not-run";
  return { outcome, found, ...(hint === undefined ? {} : { hint }) };
}

const WORDS: Readonly<Record<CheckOutcome, string>> = {
  passed: "passed",
  failed: "FAILED",
  damaged: "DAMAGED",
  "could-not-run": "COULD NOT RUN",
};

function cut(text: string): string {
  return text.length <= MOST_CHARACTERS ? text : `${text.slice(0, MOST_CHARACTERS - 1)}…`;
}
