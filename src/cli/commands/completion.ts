import { Argument, type Command } from "commander";
import type { CompletionReport } from "../outputs.ts";
import { explain, type Shell } from "../shell.ts";

/** In the order of help. */
const SHELLS = ["bash", "zsh", "fish"] as const;

export function addCompletion(program: Command, shell: Shell): void {
  const command = program
    .command("completion")
    .description("print a script that completes commands, options, policies, sources and snapshots")
    .addArgument(new Argument("<shell>", "the shell").choices(SHELLS))
    .action(async (name: CompletionReport["shell"]) => {
      const { COMPLETION_SCRIPTS } = await import("../completion/scripts.ts");
      const report: CompletionReport = { shell: name, script: COMPLETION_SCRIPTS[name] };
      shell.screen.show(report, ({ script }) => script.trimEnd());
    });
  explain(
    command,
    [
      "source <(drops completion bash)          in ~/.bashrc; in zsh after compinit",
      "drops completion fish > ~/.config/fish/completions/drops.fish",
    ],
    [],
  );
  program
    .command("complete", { hidden: true })
    .description("answer the completion scripts: possible last words")
    .argument("[words...]", "those after drops, behind --")
    .action(async (words: readonly string[]) => {
      const { completed } = await import("../completion/answer.ts");
      for (const line of await completed(program, words, shell)) shell.screen.print(`${line}\n`);
    });
}
