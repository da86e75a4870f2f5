import type { Command } from "commander";
import { DropsError } from "../../lib/errors.ts";
import { explain, type GlobalFlags, type Shell } from "../shell.ts";

interface Flags extends GlobalFlags {
  readonly to: string;
  readonly recovery?: true;
  readonly identity?: string;
}

export function addKeygen(program: Command, shell: Shell): void {
  const command = program
    .command("keygen")
    .description("make the keys of a policy, or with --recovery the sheet of paper that is enough to recover")
    .requiredOption("--to <dir>", "where to write them; nothing there is overwritten")
    .option("--recovery", "the recovery sheet of a policy instead, as text and as a page to print")
    .option(
      "--identity <file>",
      "with --recovery: the recovery identity; default: beside the recipients' file",
    )
    .action(async (_flags: object, self: Command) => {
      const flags = self.optsWithGlobals<Flags>();
      return flags.recovery ? makeSheet(shell, flags) : makeKeys(shell, flags);
    });
  explain(
    command,
    ["drops keygen --to /etc/drops/keys", "drops keygen --recovery --policy ./ops.yaml --to /dev/shm/sheet"],
    [13, 22],
    RECOVERY,
  );
}

async function makeKeys(shell: Shell, { to, identity }: Flags): Promise<void> {
  if (identity !== undefined) {
    throw new DropsError("usage/invalid", "--identity is for the recovery sheet", {
      hint: "drops keygen --recovery --identity FILE --to DIR",
    });
  }
  const { makeKeys } = await shell.app();
  const report = await makeKeys({ to, signal: shell.signal }, shell.context);
  const { keygenInWords } = await import("../words/keygen.ts");
  shell.screen.show(report, keygenInWords);
}

async function makeSheet(shell: Shell, { to, identity, policy }: Flags): Promise<void> {
  const { makeSheet } = await shell.app();
  const report = await makeSheet({ to, identity, policy, signal: shell.signal }, shell.context);
  const { sheetInWords } = await import("../words/keygen.ts");
  shell.screen.show(report, sheetInWords);
}

const RECOVERY = `
The recovery identity opens everything and is needed for restores only: move it off the machine, keep
two copies (a safe, a password manager), and leave its public half, recovery-recipients.txt, in place.

The recovery sheet holds that identity, as text and as a code to scan, and all else that a recovery needs:
make it where nobody else reads along, best in memory (/dev/shm), print it twice, and delete it.
It names every signer that the policy believes, and since when one is revoked: make a new sheet after any of
these changed. It is refused (13) when none of them signed the repository's description.
`;
