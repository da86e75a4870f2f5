import type { Cancel } from "../../lib/cancel.ts";
import type { Prompt } from "../../lib/context.ts";
import { DropsError, refused } from "../../lib/errors.ts";
import type { ChecklistAnswer } from "../report.ts";

export interface AnswersHow {
  /** Go on without asking; never answers the fence. */
  readonly yes: boolean;
  /** The operator has said that the old machine is off. */
  readonly fenced: boolean;
  readonly prompt: Prompt | undefined;
}

/** How often an answer that is none is asked for again. */
const TRIES = 3;

/** The answers that a restore needs: from a person, or said beforehand on the command line. */
export class Answers {
  readonly #how: AnswersHow;

  constructor(how: AnswersHow) {
    this.#how = how;
  }

  /** Throws safety/refused when nobody can be asked, before anything was begun. */
  requireSomeone(): void {
    if (this.#how.yes || this.#how.prompt) return;
    throw refused(
      "there is no terminal to ask on",
      "add --yes to continue without questions (and --fenced if the old machine is off), or --dry-run to see the plan",
    );
  }

  /** Throws interrupted when the person says no. `what` says what is then not done. */
  async confirm(question: string, what: string, how: Cancel): Promise<void> {
    if (this.#how.yes) return;
    if ((await this.#yesOrNo(question, how)) === "yes") return;
    throw new DropsError("interrupted", `stopped before ${what}: nothing was changed`);
  }

  /** Whether the old machine is off: a person's word, or --fenced. In words for the journal. Throws safety/refused. */
  async fence(addresses: readonly string[], how: Cancel): Promise<string> {
    if (this.#how.fenced) return "said beforehand, by --fenced";
    const hint = "switch the old machine off, or stop its services for good; then --fenced, or answer off";
    const { prompt } = this.#how;
    if (!prompt)
      throw refused("no confirmation that the old machine is off: --yes does not include it", hint);
    const who =
      addresses.length === 0 ? "every other machine that runs these services" : addresses.join(", ");
    let again = "";
    for (let tries = 0; tries < TRIES; tries++) {
      const said = await prompt.ask(
        `${again}is ${who} off, or its services stopped for good? type off, or no: `,
        how,
      );
      again = "this takes the word off, or no; ";
      if (said.toLowerCase() === "off") return "said by a person at the terminal";
      if (/^no?$/i.test(said)) break;
    }
    throw refused("the old machine may still run: the restore did not start", hint);
  }

  /** An item of the checklist. Never throws for a no. */
  async check(item: string, how: Cancel): Promise<ChecklistAnswer> {
    const { prompt, yes } = this.#how;
    if (!prompt || yes) return { item, answer: "not asked", note: "" };
    const answer = await this.#yesOrNo(`${item}?`, how);
    const note = answer === "yes" ? "" : await prompt.ask("what is wrong (kept in the journal): ", how);
    return { item, answer, note: note.slice(0, 500) };
  }

  async #yesOrNo(question: string, how: Cancel): Promise<"yes" | "no"> {
    const { prompt } = this.#how;
    let again = "";
    for (let tries = 0; prompt && tries < TRIES; tries++) {
      const said = (await prompt.ask(`${again}${question} [yes/no] `, how)).toLowerCase();
      again = "yes or no, please: ";
      if (said === "y" || said === "yes") return "yes";
      if (said === "n" || said === "no") return "no";
    }
    return "no";
  }
}
