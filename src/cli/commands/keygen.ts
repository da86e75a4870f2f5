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
    .description("make the keys of a policy, or with --recovery the recovery sheet to print")
    .requiredOption("--to <dir>", "directory to write to; nothing is overwritten")
    .option("--recovery", "make the recovery sheet of the policy, as text and as a page to print")
    .option(
      "--identity <file>",
      "with --recovery: the recovery identity; default: in the directory of the recipients file",
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
    throw new DropsError("usage/invalid", "--identity needs --recovery", {
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
The recovery identity opens every backup. Only restores need it. Move it off the machine and keep two copies (a safe, a
password manager). Leave its public half, recovery-recipients.txt, in place.

The recovery sheet contains the identity, as text and as a code to scan, and everything else that a recovery needs. Make
it in memory (/dev/shm), print it twice, and delete it. It lists the trusted and revoked signers of the policy: make a new
sheet when these change. Exit 13: no trusted key signed the repository's description.
`;
