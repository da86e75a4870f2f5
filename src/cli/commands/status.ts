import type { Command } from "commander";
import { DropsError } from "../../lib/errors.ts";
import type { StatusReport } from "../../status/report.ts";
import { addReadOptions, explain, openReader, type ReadFlags, type Shell } from "../shell.ts";
import { type About, telling } from "../telling.ts";

interface Flags extends ReadFlags {
  readonly prometheus?: string;
  readonly html?: string;
}

export function addStatus(program: Command, shell: Shell): void {
  const command = addReadOptions(program.command("status"))
    .description(
      "show whether it can be restored, to when, and when that was last proven; needs no host or decryption key",
    )
    .option("--prometheus <file>", "write metrics for node_exporter's textfile collector")
    .option("--html <file>", "write a self-contained HTML page")
    .action(async (_flags: object, self: Command) => {
      const flags = self.optsWithGlobals<Flags>();
      await telling(shell, { verb: "status", flags }, (about) => status(shell, flags, about));
    });
  explain(
    command,
    [
      "drops status",
      "drops status --prometheus /var/lib/prometheus/node-exporter/drops.prom --html /srv/www/drops.html",
      "drops status --store /mnt/backups --trusted-signer signer.pub --json | jq .state",
    ],
    [10, 11, 13, 21, 22],
  );
}

async function status(shell: Shell, flags: Flags, about: About): Promise<void> {
  await using reader = await openReader(shell, flags);
  const { prometheus, html } = flags;
  const report = await reader.status({ prometheus, html, signal: shell.signal });
  const { statusInWords } = await import("../words/status.ts");
  shell.screen.show(report, statusInWords);
  about.summary = `${report.policy} is ${report.state}`;
  // hints name what a concern is about, where sentences hold ages that are others every day
  about.trouble = report.concerns.map(({ kind, hint }) => `${kind}: ${hint}`).join("; ");
  judge(report);
}

/** Throws status/not-green, naming how many things and the worst of them. Amber is said, and is no failure. */
function judge({ policy, state, concerns, next }: StatusReport): void {
  const [worst, ...others] = concerns;
  if (state === "green" || state === "amber" || !worst) return;
  const more = others.length > 0 ? ` (and ${others.length} more)` : "";
  throw new DropsError("status/not-green", `${policy} is ${state}: ${worst.what}${more}`, { hint: next });
}
