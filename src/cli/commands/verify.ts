import type { Command } from "commander";
import { DropsError } from "../../lib/errors.ts";
import { addReadOptions, explain, openReader, type ReadFlags, type Shell } from "../shell.ts";
import { telling } from "../telling.ts";

interface Flags extends ReadFlags {
  readonly readData?: string | true;
  readonly sources?: true;
}

export function addVerify(program: Command, shell: Shell): void {
  const command = addReadOptions(program.command("verify"))
    .description("prove that what the snapshots promise is in the store")
    .argument("[snapshot]", "an id or a date; default: all snapshots")
    .option("--read-data [share]", "read packs back too: all, or a share such as 5% or 0.05")
    .option("--sources", "run the sources' own checks on the stored data")
    .action(async (snapshot: string | undefined, _flags: object, self: Command) => {
      const flags = self.optsWithGlobals<Flags>();
      await telling(shell, { verb: "verify", flags }, () => verify(shell, snapshot, flags));
    });
  explain(
    command,
    ["drops verify", "drops verify --read-data 5%", "drops verify latest --read-data --sources"],
    [10, 11, 13, 20],
  );
}

async function verify(shell: Shell, snapshot: string | undefined, flags: Flags): Promise<void> {
  const readShare = parseShare(flags.readData);
  const choice = snapshot === undefined ? undefined : { date: snapshot };
  await using reader = await openReader(shell, flags);
  const report = await reader.verify({
    choice,
    readShare,
    sources: flags.sources === true,
    signal: shell.signal,
  });
  const { verifyInWords } = await import("../words/verify.ts");
  shell.screen.show(report, verifyInWords);
  const broken = report.snapshots.filter(({ intact }) => !intact).length;
  const bad = report.sources.filter(({ ok }) => !ok).length;
  if (broken + bad + report.damage.length === 0) return;
  const checks = bad > 0 ? `, failed source checks: ${bad}` : "";
  const what = `damaged or missing objects: ${report.damage.length}, snapshots not whole: ${broken}`;
  throw new DropsError("data/damaged", what + checks, {
    hint: "drops backup --reread stores again what the host still has",
  });
}

/** `5%` or `0.05` as 0.05; nothing as 0; the bare option as 1. Throws usage/invalid. */
export function parseShare(text: string | true | undefined): number {
  if (text === undefined) return 0;
  if (text === true) return 1;
  const percent = /^(\d+(?:\.\d+)?)%$/.exec(text)?.[1];
  const share = percent === undefined ? Number(text) : Number(percent) / 100;
  if (text.trim() !== "" && share >= 0 && share <= 1) return share;
  throw new DropsError("usage/invalid", `"${text}" is not a share`, { hint: "--read-data, --read-data 5%" });
}
