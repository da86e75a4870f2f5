import { Argument, type Command, InvalidArgumentError, Option } from "commander";
import { explain, type GlobalFlags, type Shell } from "../shell.ts";

const WHAT = ["writer", "janitor", "keeper", "restorer", "lifecycle"] as const;
type What = (typeof WHAT)[number];

interface Flags extends GlobalFlags {
  readonly principal?: string;
  readonly conditions?: "aws" | "none";
  readonly maxDays?: number;
  readonly days: number;
}

export function addIam(program: Command, shell: Shell): void {
  const command = program
    .command("iam")
    .description("print the S3 permissions of a role, or the lifecycle rule of the bucket; contacts nothing")
    .addArgument(new Argument("<what>", "whom or what it is for").choices(WHAT))
    .option(
      "--principal <user>",
      "as a bucket's policy for this user (its ARN; on versitygw its access key), instead of a policy of the user",
    )
    .addOption(
      new Option(
        "--conditions <whose>",
        "aws: the server enforces create-only puts (s3:if-none-match); none: it cannot; default: by the endpoint",
      ).choices(["aws", "none"]),
    )
    .option(
      "--max-days <days>",
      "keeper, writer: the furthest that it may lock an object from now; default: object_lock.max",
      days,
    )
    .option("--days <days>", "lifecycle: how long what was deleted or overwritten is kept", days, 30)
    .action(async (what: What, _flags: object, self: Command) => {
      const flags = self.optsWithGlobals<Flags>();
      const { findPolicy, POLICY_DIRS } = await import("../../policy/find.ts");
      const { loadPolicy } = await import("../../policy/load.ts");
      const fromEnv = shell.context.env["DROPS_POLICY"];
      const loaded = await loadPolicy(await findPolicy(flags.policy, { fromEnv, dirs: POLICY_DIRS }));
      const { iamInWords, iamRemarks, iamReport } = await import("../words/iam.ts");
      const report = iamReport(what, loaded.policy, flags);
      shell.screen.show(report, iamInWords);
      for (const line of iamRemarks(report)) shell.screen.say(line);
    });
  explain(
    command,
    [
      "drops iam writer > writer.json",
      "aws iam create-policy --policy-name drops-writer --policy-document file://writer.json",
      "drops iam janitor --conditions none --principal arn:aws:iam:::user/drops-janitor > policy.json",
      "drops iam lifecycle > lifecycle.json",
    ],
    [],
    ROLES_IN_WORDS,
  );
}

function days(text: string): number {
  const value = Number(text);
  if (/^\d{1,5}$/.test(text) && value > 0) return value;
  throw new InvalidArgumentError("a number of days, from 1");
}

const ROLES_IN_WORDS = `
writer    makes backups: cannot delete, cannot read packs; where the server can, cannot overwrite
janitor   prunes: cannot read packs or manifests, and needs no key that opens them
keeper    extends Object Lock (drops keeper); optional
restorer  restores and drills: reads everything, deletes nothing
`;
