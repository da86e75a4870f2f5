import { type Command, Option } from "commander";
import type { DoctorReport } from "../../doctor/report.ts";
import type { Group } from "../../doctor/types.ts";
import { DropsError } from "../../lib/errors.ts";
import { collect, explain, type GlobalFlags, openApp, type Shell } from "../shell.ts";

/** As in doctor/types.ts, which `--help` does not load. */
const GROUPS = [
  "policy",
  "keys",
  "host",
  "sources",
  "coverage",
  "store",
  "nights",
  "estimate",
] as const satisfies readonly Group[];

interface Flags extends GlobalFlags {
  readonly identity?: string;
  readonly only?: readonly string[];
}

export function addDoctor(program: Command, shell: Shell): void {
  const command = program
    .command("doctor")
    .description("test everything that backups and restores depend on, with hints; changes no service")
    .option("--identity <file>", "test the recovery identity from the safe; remove it again afterwards")
    .addOption(
      new Option("--only <group>", "run only these checks; may be repeated")
        .choices(GROUPS)
        .argParser(group)
        .default([], "all"),
    )
    .action(async (_flags: object, self: Command) => {
      const { identity, only = [], ...flags } = self.optsWithGlobals<Flags>();
      await using app = await openApp(shell, flags);
      const report = await app.doctor({ identity, only, signal: shell.signal });
      const { doctorInWords } = await import("../words/doctor.ts");
      shell.screen.show(report, doctorInWords);
      judge(report);
    });
  const examples = [
    "drops doctor",
    "drops doctor --only store --only keys",
    "drops doctor --identity /media/usb/recovery-identity.txt",
    "drops doctor --json | jq '.findings[] | select(.result != \"ok\")'",
  ];
  explain(command, examples, [21]);
}

function group(value: string, before: readonly string[]): readonly string[] {
  if (GROUPS.some((known) => known === value)) return collect(value, before);
  throw new DropsError("usage/invalid", `--only knows no group ${value}`, { hint: GROUPS.join(", ") });
}

/** Throws doctor/not-well, naming how much and the first of it. */
function judge({ policy, well, counts, findings }: DoctorReport): void {
  if (well) return;
  const bad = findings.filter(({ result }) => result === "fail" || result === "unable");
  const [first] = bad.filter(({ result }) => counts.fail === 0 || result === "fail");
  const said = `${counts.fail} failed, ${counts.unable} could not be checked`;
  throw new DropsError("doctor/not-well", `${policy} is not well: ${said}; first: ${first?.what ?? ""}`, {
    hint: first?.fix,
  });
}
