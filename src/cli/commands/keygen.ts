import type { Command } from "commander";
import { explain, type Shell } from "../shell.ts";

export function addKeygen(program: Command, shell: Shell): void {
  const command = program
    .command("keygen")
    .description("make the keys of a policy: recovery identity, metadata identity, signing key")
    .requiredOption("--to <dir>", "where to write them; nothing there is overwritten")
    .action(async ({ to }: { readonly to: string }) => {
      const { makeKeys } = await shell.app();
      const report = await makeKeys({ to, signal: shell.signal }, shell.context);
      const { keygenInWords } = await import("../words/keygen.ts");
      shell.screen.show(report, keygenInWords);
    });
  explain(command, ["drops keygen --to /etc/drops/keys"], [22], RECOVERY);
}

const RECOVERY = `
The recovery identity opens everything and is needed for restores only: move it off the machine, keep
two copies (a safe, a password manager), and leave its public half, recovery-recipients.txt, in place.
`;
