import { type Command, Option } from "commander";
import type { RunbookOptions } from "../../paper/report.ts";
import { accessOf, addReadOptions, explain, type ReadFlags, type Shell } from "../shell.ts";

interface Flags extends ReadFlags {
  readonly general?: true;
  readonly html?: true;
  readonly markdown?: true;
  readonly out?: string;
}

export function addRunbook(program: Command, shell: Shell): void {
  const command = addReadOptions(program.command("runbook"))
    .description("print the recovery plan of this policy: hosts, units, sources and commands")
    .option("--general", "print RECOVERY.md: for any policy, with names to fill in")
    .addOption(new Option("--html", "print a self-contained HTML page").conflicts("markdown"))
    .option("--markdown", "print Markdown")
    .option("--out <file>", "write to this file; nothing is overwritten")
    .action(async (_flags: object, self: Command) => {
      const flags = self.optsWithGlobals<Flags>();
      const { makeRunbook } = await shell.app();
      const options = {
        access: accessOf(flags),
        general: flags.general === true,
        form: formOf(flags),
        out: flags.out,
      };
      const report = await makeRunbook({ ...options, signal: shell.signal }, shell.context);
      const { runbookInWords } = await import("../words/runbook.ts");
      shell.screen.show(report, runbookInWords);
    });
  explain(
    command,
    [
      "drops runbook --policy ./ops.yaml",
      "drops runbook --policy ./ops.yaml --html --out runbook.html",
      "drops runbook --store s3://… --identity recovery-identity.txt --trusted-signer signer.pub",
    ],
    [10, 11, 13, 22],
    "\nIt contains no secrets. Print it together with the recovery sheet (drops keygen --recovery), which does.\n",
  );
}

function formOf({ html, markdown }: Flags): RunbookOptions["form"] {
  if (html) return "html";
  return markdown ? "markdown" : "text";
}
