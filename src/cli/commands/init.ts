import type { Command } from "commander";
import { explain, type GlobalFlags, openApp, type Shell } from "../shell.ts";

export function addInit(program: Command, shell: Shell): void {
  const command = program
    .command("init")
    .description("make the policy's repository in its store; refuses over an existing one")
    .action(async (_flags: object, self: Command) => {
      await using app = await openApp(shell, self.optsWithGlobals<GlobalFlags>());
      const report = await app.init({ signal: shell.signal });
      const { initInWords } = await import("../words/init.ts");
      shell.screen.show(report, initInWords);
    });
  explain(command, ["drops init", "drops init --policy ./demo.yaml"], [11, 13, 22]);
}
