import type { Command } from "commander";
import { addReadOptions, explain, openReader, type ReadFlags, type Shell } from "../shell.ts";

export function addKeys(program: Command, shell: Shell): void {
  const command = addReadOptions(program.command("keys"))
    .description("which keys the policy names, what is sealed to whom, who signed what; opens nothing")
    .action(async (_flags: object, self: Command) => {
      await using reader = await openReader(shell, self.optsWithGlobals<ReadFlags>());
      const report = await reader.keys({ signal: shell.signal });
      const { keysInWords } = await import("../words/keys.ts");
      shell.screen.show(report, keysInWords);
    });
  const examples = [
    "drops keys",
    "drops keys --json | jq '.sealedTo[] | select(.current | not)'",
    "drops keys --store /mnt/backups --trusted-signer signer.pub",
  ];
  explain(command, examples, [10, 11, 13], MORE);
}

const MORE = `
Public halves only: no secret key is printed. A set of recipients is named by a hash: what is sealed to another set
than the policy's is opened by the identities of that set alone, for as long as it is kept.
`;
