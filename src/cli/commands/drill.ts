import type { Command } from "commander";
import type { DrillReport } from "../../drill/report.ts";
import { DropsError } from "../../lib/errors.ts";
import { someOf } from "../../lib/words.ts";
import {
  addChoiceOptions,
  addReadOptions,
  type ChoiceFlags,
  choiceOf,
  collect,
  explain,
  openReader,
  type ReadFlags,
  type Shell,
} from "../shell.ts";
import { telling } from "../telling.ts";

interface Flags extends ReadFlags, ChoiceFlags {
  readonly only?: readonly string[];
  readonly work?: string;
  readonly keep?: true;
  readonly evidence?: string;
  readonly signingKey?: string;
  readonly publish?: true;
  readonly checksFrom?: string;
  readonly runCommands?: true;
  readonly requireLibrary?: true;
  readonly user: string;
  readonly postgresBin?: string;
  readonly on?: string;
  readonly sshKey?: string;
  readonly hostKey?: string;
}

export function addDrill(program: Command, shell: Shell): void {
  const command = addReadOptions(addChoiceOptions(program.command("drill")))
    .description("restore into a scratch place, prove that it works, and write signed evidence")
    .option("--only <source>", "only this source; may be repeated", collect)
    .option("--work <dir>", "make the scratch directory in here; default: $TMPDIR")
    .option("--keep", "leave the scratch directory: it holds everything in plain")
    .option("--evidence <dir>", "write evidence here: JSON and its signature, JUnit XML, a page")
    .option("--signing-key <file>", "OpenSSH ed25519 key that signs evidence; default: the policy's")
    .option("--publish", "put the evidence into the repository too")
    .option("--checks-from <file>", "the policy whose checks, rpo and rto count; default: the snapshot's")
    .option("--run-commands", "run commands of checks that the snapshot's own policy names")
    .option("--require-library", "fail where the real RocksDB library is not installed")
    .option("--user <name>", "unprivileged user of the sandbox, when run as root", "nobody")
    .option(
      "--postgres-bin <dir>",
      "PostgreSQL's server and clients; default: PATH and where Debian puts them",
    )
    .option("--on <user@address:port>", "drill the guided restore there: a throwaway machine that is cut off")
    .option("--ssh-key <file>", "private key for it; default: the policy's, else as ssh finds it")
    .option("--host-key <line>", "public key line that it must show; default: known_hosts")
    .action(async (_flags: object, self: Command) => {
      const flags = self.optsWithGlobals<Flags>();
      refuseMixed(flags);
      const named = flags.date !== undefined || flags.snapshot !== undefined;
      const choice = named ? choiceOf(flags) : { date: "latest" };
      await telling(shell, { verb: "drill", flags, isPart: flags.only !== undefined }, async () => {
        await using reader = await openReader(shell, flags);
        const report = await reader.drill({ ...optionsOf(flags), choice, signal: shell.signal });
        const { drillInWords } = await import("../words/drill.ts");
        shell.screen.show(report, drillInWords);
        judge(report);
      });
    });
  explain(
    command,
    [
      "drops drill --evidence /var/lib/drops/drills --signing-key drill-key",
      "drops drill --date 2026-11-20 --only bridge-db",
      "drops drill --store s3://… --identity drill-identity.txt --trusted-signer signer.pub --checks-from ops.yaml",
    ],
    [10, 11, 13, 20, 21, 22],
  );
}

function optionsOf(flags: Flags) {
  const { only = [], work, evidence, signingKey, checksFrom, user, postgresBin } = flags;
  const { on, sshKey, hostKey } = flags;
  return {
    ...{ only, work, evidence, signingKey, checksFrom, user, postgresBin, on, sshKey, hostKey },
    keep: flags.keep === true,
    publish: flags.publish === true,
    runCommands: flags.runCommands === true,
    requireLibrary: flags.requireLibrary === true,
  };
}

/** A machine of its own has its own programs, and its policy's commands run there. Throws usage/invalid. */
function refuseMixed(flags: Flags): void {
  const HERE = ["work", "keep", "checksFrom", "runCommands", "requireLibrary", "postgresBin"] as const;
  const other = flags.on === undefined ? undefined : HERE.find((name) => flags[name] !== undefined);
  if (other === undefined) return;
  const option = `--${other.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  throw new DropsError("usage/invalid", `--on cannot be used with ${option}`, { hint: "drops drill --help" });
}

/** Throws data/damaged or drill/unproven, naming the checks. */
function judge({ verdict, checks }: DrillReport): void {
  if (verdict === "proven") return;
  const bad = checks.filter(({ outcome }) => outcome !== "passed").map(({ id }) => id);
  const some = someOf(bad);
  if (verdict === "damaged") {
    throw new DropsError("data/damaged", `the drill found damage: ${some}`, {
      hint: "drops verify --read-data, then another date",
    });
  }
  const hint = checks.find(({ outcome, hint }) => outcome !== "passed" && hint !== undefined)?.hint;
  throw new DropsError("drill/unproven", `the drill did not prove this backup: ${some}`, { hint });
}
