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
  sayingPlan,
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
    .description("restore into a scratch directory, check the result, and sign evidence")
    .option("--only <source>", "only this source; may be repeated", collect)
    .option("--work <dir>", "parent of the scratch directory; default: $TMPDIR")
    .option("--keep", "keep the scratch directory; it has all data unencrypted")
    .option("--evidence <dir>", "write evidence to this directory: JSON with signature, JUnit XML, HTML")
    .option("--signing-key <file>", "OpenSSH ed25519 key that signs the evidence; default: the policy's")
    .option("--publish", "also store the evidence in the repository")
    .option("--checks-from <file>", "policy with the checks, rpo and rto; default: the one in the snapshot")
    .option("--run-commands", "also run check commands from the snapshot's own policy")
    .option("--require-library", "fail if the RocksDB library is not installed")
    .option("--user <name>", "unprivileged user for the sandbox, if drops runs as root", "nobody")
    .option(
      "--postgres-bin <dir>",
      "directory of PostgreSQL's programs; default: PATH and Debian's directories",
    )
    .option("--on <user@address:port>", "drill the guided restore on this isolated throwaway machine")
    .option("--ssh-key <file>", "SSH private key; default: the policy's, else what ssh would use")
    .option("--host-key <line>", "the machine's SSH host key; default: known_hosts")
    .action(async (_flags: object, self: Command) => {
      const flags = self.optsWithGlobals<Flags>();
      refuseMixed(flags);
      const named = flags.date !== undefined || flags.snapshot !== undefined;
      const choice = named ? choiceOf(flags) : { date: "latest" };
      await telling(shell, { verb: "drill", flags, isPart: flags.only !== undefined }, async () => {
        await using reader = await openReader(shell, flags);
        const report = await reader.drill({
          ...optionsOf(flags),
          choice,
          onPlanned: sayingPlan(shell),
          signal: shell.signal,
        });
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
