import { Command, CommanderError, Option } from "commander";
import { DropsError } from "../lib/errors.ts";
import { addBackup } from "./commands/backup.ts";
import { addCompletion } from "./commands/completion.ts";
import { addDoctor } from "./commands/doctor.ts";
import { addDrill } from "./commands/drill.ts";
import { addExport } from "./commands/export.ts";
import { addIam } from "./commands/iam.ts";
import { addInit } from "./commands/init.ts";
import { addKeeper } from "./commands/keeper.ts";
import { addKeygen } from "./commands/keygen.ts";
import { addKeys } from "./commands/keys.ts";
import { addLs } from "./commands/ls.ts";
import { addNotify } from "./commands/notify.ts";
import { addPin } from "./commands/pin.ts";
import { addPlan } from "./commands/plan.ts";
import { addPolicy } from "./commands/policy.ts";
import { addPrune } from "./commands/prune.ts";
import { addRestore } from "./commands/restore.ts";
import { addRollback } from "./commands/rollback.ts";
import { addRunbook } from "./commands/runbook.ts";
import { addShow } from "./commands/show.ts";
import { addSnapshots } from "./commands/snapshots.ts";
import { addStatus } from "./commands/status.ts";
import { addUnpin } from "./commands/unpin.ts";
import { addVerify } from "./commands/verify.ts";
import { addWithdraw } from "./commands/withdraw.ts";
import { EXITS, type ExitCode, exitsInWords } from "./exits.ts";
import { LOG_FORMATS } from "./log-lines.ts";
import type { Shell } from "./shell.ts";

const WIDTH = 100;

/**
 * The command line. Running it throws DropsError (usage/invalid for wrong usage) and never exits the process, so that
 * what commands opened is closed.
 */
export function buildProgram(shell: Shell): Command {
  const { screen } = shell;
  const program = new Command("drops")
    .description(
      "Backup and disaster recovery for a self-hosted service: RocksDB, PostgreSQL and files, restored by date",
    )
    .version(shell.context.version, "-V, --version", "show the version")
    .helpOption("-h, --help", "show help")
    .helpCommand(false)
    .option(
      "--policy <file|name>",
      "policy file, or a name in /etc/drops; default: $DROPS_POLICY, else the only policy in /etc/drops",
    )
    .option("--json", "print one JSON value on standard output (see schemas/); messages go to standard error")
    .option("--quiet", "print results and failures only: no progress, no notes")
    .option("--no-color", "print no colours (also: NO_COLOR)")
    .addOption(
      new Option(
        "--log-format <format>",
        "format of standard error; default: journald under systemd, else text",
      ).choices(LOG_FORMATS),
    )
    .option("--no-notify", "send no alerts: for runs by hand")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => screen.print(text),
      writeErr: () => {}, // thrown, and told by fail.ts
      getOutHelpWidth: () => WIDTH,
      getErrHelpWidth: () => WIDTH,
      getOutHasColors: () => false,
    })
    .addHelpText("after", `\nExamples:\n${EXAMPLES}\n\nExit codes:\n${exitsInWords(codes())}`);
  const add = [
    addInit,
    addKeygen,
    addKeys,
    addBackup,
    addStatus,
    addDoctor,
    addSnapshots,
    addShow,
    addLs,
    addExport,
    addRestore,
    addRollback,
    addRunbook,
    addVerify,
    addDrill,
    addPlan,
    addPrune,
    addKeeper,
    addPin,
    addUnpin,
    addWithdraw,
    addPolicy,
    addIam,
    addCompletion,
    addNotify,
  ];
  for (const each of add) each(program, shell);
  return program;
}

/** Parse and run. `args` is without the interpreter and the script. */
export async function run(args: readonly string[], shell: Shell): Promise<void> {
  const program = buildProgram(shell);
  try {
    if (args.length === 0)
      throw new DropsError("usage/invalid", "no command given", { hint: "drops --help" });
    await program.parseAsync(withoutVainHelp(args, program, shell), { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode !== 0) throw usage(error, program, args);
  }
}

const HELP = ["-h", "--help"];

/** A command that does not exist has no help: commander would show the program's, and succeed. */
function withoutVainHelp(args: readonly string[], program: Command, shell: Shell): readonly string[] {
  const isKnown = (word: string) => program.commands.some((each) => each.name() === word);
  const words = args.filter((arg) => !arg.startsWith("-"));
  if (!args.some((arg) => HELP.includes(arg)) || words.length === 0 || words.some(isKnown)) return args;
  // parsing leaves traces, so another one finds out which of the words is the command
  const [command] = buildProgram(shell).parseOptions(args.filter((arg) => !HELP.includes(arg))).operands;
  return command === undefined ? args : [command];
}

function usage(error: CommanderError, program: Command, args: readonly string[]): DropsError {
  const wasCommand = program.commands.find((command) => args.includes(command.name()));
  const message = error.message.replace(/^error: /, "").replaceAll("\n", " ");
  const sentence = error.code === "commander.help" ? "no command given" : message;
  return new DropsError("usage/invalid", sentence, {
    hint: wasCommand ? `drops ${wasCommand.name()} --help` : "drops --help",
  });
}

function codes(): ExitCode[] {
  return Object.keys(EXITS).map((code) => Number(code) as ExitCode);
}

const EXAMPLES = `  drops keygen --to /etc/drops/keys        once; then move the recovery identity off this machine
  drops init && drops backup               the first backup
  drops snapshots                          what there is
  drops restore --date 2026-11-20 --to /restore
  drops restore --date latest --to /restore --store /mnt/backups \\
      --identity recovery-identity.txt --trusted-signer signer.pub    no policy file needed`;
