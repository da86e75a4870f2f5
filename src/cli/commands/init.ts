import type { Command } from "commander";
import { explain, type GlobalFlags, openApp, type Shell } from "../shell.ts";

export function addInit(program: Command, shell: Shell): void {
  const command = program
    .command("init")
    .description("make the repository; on a terminal without a policy, ask for one first")
    .action(async (_flags: object, self: Command) => {
      const flags = self.optsWithGlobals<GlobalFlags>();
      if (await setUpFirst(shell, flags)) return;
      await using app = await openApp(shell, flags);
      const report = await app.init({ signal: shell.signal });
      const { initInWords } = await import("../words/init.ts");
      shell.screen.show(report, initInWords);
    });
  explain(command, ["drops init", "drops init --policy ./demo.yaml"], [11, 13, 22], MORE);
}

/** Whether there was no policy and somebody to ask, so that one was written. */
async function setUpFirst(shell: Shell, { policy }: GlobalFlags): Promise<boolean> {
  if (!shell.prompt) return false;
  const { placeForPolicy, POLICY_DIRS } = await import("../../policy/find.ts");
  const fromEnv = shell.context.env["DROPS_POLICY"];
  const place = await placeForPolicy(policy, { fromEnv, dirs: POLICY_DIRS });
  if (place === undefined) return false;
  const { setUp } = await shell.app();
  const how = { file: place.file, prompt: shell.prompt, signal: shell.signal };
  const report = await setUp(how, shell.context);
  const { setupInWords } = await import("../words/setup.ts");
  shell.screen.show(report, setupInWords);
  return true;
}

const MORE = `
Refuses if the repository exists. If there is no policy (in /etc/drops, or in the file given with --policy), init asks for
one on a terminal: it finds databases and services on the machine, then writes policy, keys and repository, each after a
yes. It overwrites nothing.
`;
