import { readFileSync } from "node:fs";
import type { Host } from "../../host/host.ts";
import type { Cancel } from "../../lib/cancel.ts";
import { DropsError } from "../../lib/errors.ts";

const SCRIPT = readFileSync(new URL("./host.sh", import.meta.url), "utf8");
/** Questions in one call: an argument list has an end. */
const AT_ONCE = 100;

export type QuestionKind = "tool" | "user" | "group" | "space" | "options" | "clock" | "fact" | "program";
export type HostQuestion = readonly [kind: QuestionKind, subject: string];

/** What the host's script answered; an empty text where there is nothing. See preflight-host.sh for what each kind answers. */
export class HostAnswers {
  readonly #answers = new Map<string, string>();

  /** Throws host/command-failed when the host does not answer all. */
  static async ask(host: Host, questions: readonly HostQuestion[], how: Cancel): Promise<HostAnswers> {
    const answers = new HostAnswers();
    for (let from = 0; from < questions.length; from += AT_ONCE) {
      const some = questions.slice(from, from + AT_ONCE);
      const { stdout } = await host.run(["sh", "-c", SCRIPT, "drops-preflight", ...some.flat()], how);
      const fields = stdout.toString("utf8").split("\0");
      if (fields.length !== some.length * 3 + 2 || fields[some.length * 3] !== "end")
        throw new DropsError(
          "host/command-failed",
          `${host.label} gave an answer that drops does not understand`,
        );
      for (const [index, question] of some.entries())
        answers.#answers.set(question.join("\0"), (fields[index * 3 + 2] ?? "").trim());
    }
    return answers;
  }

  get(...question: HostQuestion): string {
    return this.#answers.get(question.join("\0")) ?? "";
  }
}
