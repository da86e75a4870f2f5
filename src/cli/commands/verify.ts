import type { Command } from "commander";
import { DropsError } from "../../lib/errors.ts";
import type { VerifyReport } from "../../verify/report.ts";
import { addReadOptions, explain, openReader, type ReadFlags, type Shell } from "../shell.ts";
import { telling } from "../telling.ts";

interface Flags extends ReadFlags {
  readonly objects?: true;
  readonly readData?: string | true;
  readonly independent?: true;
  readonly sources?: true;
  readonly publish?: true;
  readonly signingKey?: string;
  readonly routine?: true;
}

export function addVerify(program: Command, shell: Shell): void {
  const command = addReadOptions(program.command("verify"))
    .description("check that the store has everything that the snapshots need")
    .argument("[snapshot]", "an id or a date; default: all snapshots")
    .option("--objects", "also compare the store's checksums with the names; needs no key")
    .option(
      "--read-data [share]",
      "also read packs back: all, a share such as 5% (a new one each time), or 3/20",
    )
    .option("--independent", "with --read-data and --identity: also read packs with the age and tar packages")
    .option("--sources", "also run each source's own checks on the stored data")
    .option("--publish", "mark damage for the next backup, and store signed evidence in the repository")
    .option(
      "--signing-key <file>",
      "OpenSSH ed25519 key that signs the evidence; default: the policy's (verify, prune, backup)",
    )
    .option("--routine", "for timers: --objects, the policy's share of the data, and --publish if permitted")
    .action(async (snapshot: string | undefined, _flags: object, self: Command) => {
      const flags = self.optsWithGlobals<Flags>();
      await telling(shell, { verb: "verify", flags }, () => verify(shell, snapshot, flags));
    });
  explain(
    command,
    [
      "drops verify",
      "drops verify --objects --publish --signing-key janitor-key",
      "drops verify --read-data 5% --publish       20 runs read everything",
      "drops verify latest --read-data --sources",
      "drops verify --read-data 5% --independent --identity FILE",
    ],
    [10, 11, 13, 20],
  );
}

async function verify(shell: Shell, snapshot: string | undefined, flags: Flags): Promise<void> {
  const read = parseReadData(flags.readData);
  const independent = flags.independent === true;
  if (independent && flags.readData === undefined && flags.routine !== true)
    throw new DropsError("usage/invalid", "--independent needs --read-data", {
      hint: "drops verify --read-data 5% --independent --identity FILE",
    });
  const choice = snapshot === undefined ? undefined : { date: snapshot };
  await using reader = await openReader(shell, flags);
  const report = await reader.verify({
    choice,
    readShare: read.share,
    readPart: read.part,
    independent,
    objects: flags.objects === true,
    sources: flags.sources === true,
    publish: flags.publish === true,
    signingKey: flags.signingKey,
    routine: flags.routine === true,
    signal: shell.signal,
  });
  const { verifyInWords } = await import("../words/verify.ts");
  shell.screen.show(report, verifyInWords);
  judge(report);
}

/** Throws data/damaged when anything is. */
function judge({ snapshots, sources, damage, evidence }: VerifyReport): void {
  const broken = snapshots.filter(({ intact }) => !intact).length;
  const bad = sources.filter(({ ok }) => !ok).length;
  if (broken + bad + damage.length === 0) return;
  const checks = bad > 0 ? `, failed source checks: ${bad}` : "";
  const what = `damaged or missing objects: ${damage.length}, snapshots not whole: ${broken}`;
  throw new DropsError("data/damaged", what + checks, {
    hint: evidence
      ? "drops backup  stores the data again if the host still has it"
      : "drops verify --read-data --publish, then drops backup: it stores the data again if the host still has it",
  });
}

/** `5%` or `0.05` as a share of 0.05; the bare option as 1; `3/20` as a part. Throws usage/invalid. */
export function parseReadData(text: string | true | undefined): {
  readonly share: number | undefined;
  readonly part: { readonly part: number; readonly of: number } | undefined;
} {
  if (text === undefined) return { share: undefined, part: undefined };
  if (text === true) return { share: 1, part: undefined };
  const [, part, of] = /^(\d{1,4})\/(\d{1,4})$/.exec(text)?.map(Number) ?? [];
  if (part !== undefined && of !== undefined && part >= 1 && part <= of)
    return { share: undefined, part: { part, of } };
  const percent = /^(\d+(?:\.\d+)?)%$/.exec(text)?.[1];
  const share = percent === undefined ? Number(text) : Number(percent) / 100;
  if (text.trim() !== "" && share >= 0 && share <= 1) return { share, part: undefined };
  throw new DropsError("usage/invalid", `"${text}" is not a share`, {
    hint: "--read-data, --read-data 5%, --read-data 3/20",
  });
}
