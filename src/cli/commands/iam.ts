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
    .description("print the S3 permissions of a role, or the bucket's lifecycle rule; contacts nothing")
    .addArgument(new Argument("<what>", "the role, or lifecycle").choices(WHAT))
    .option(
      "--principal <user>",
      "print a bucket policy for this user (ARN; on versitygw the access key), not a user policy",
    )
    .addOption(
      new Option(
        "--conditions <whose>",
        "aws: the server enforces create-only puts (s3:if-none-match); none: it does not; default: by endpoint",
      ).choices(["aws", "none"]),
    )
    .option(
      "--max-days <days>",
      "keeper, writer: longest lock that it may set, from now; default: object_lock.max",
      days,
    )
    .option("--days <days>", "lifecycle: how long to keep deleted and overwritten objects", days, 30)
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
writer    makes backups; cannot delete or read packs, and cannot overwrite if the server supports that
janitor   prunes; cannot read packs or manifests, and needs no decryption key
keeper    extends Object Lock (drops keeper); optional
restorer  restores and drills; reads everything, deletes nothing
`;
