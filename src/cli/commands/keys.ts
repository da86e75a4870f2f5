import type { Command } from "commander";
import { addReadOptions, explain, openReader, type ReadFlags, type Shell } from "../shell.ts";

export function addKeys(program: Command, shell: Shell): void {
  const command = addReadOptions(program.command("keys"))
    .description("show the keys of the policy, and which keys sealed and signed what; opens nothing")
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
Prints public keys only. A hash names each set of recipients. Only the identities of a set open the data that is sealed to
it: keep old identities as long as their snapshots.
`;
