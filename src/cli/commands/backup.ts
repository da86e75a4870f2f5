import type { Command } from "commander";
import { DropsError } from "../../lib/errors.ts";
import { collect, explain, type GlobalFlags, openApp, type Shell } from "../shell.ts";
import { type About, telling } from "../telling.ts";

interface Flags extends GlobalFlags {
  readonly reread?: true;
  readonly source?: readonly string[];
}

export function addBackup(program: Command, shell: Shell): void {
  const command = program
    .command("backup")
    .description("back up every source at one recovery point; store only what is new")
    .option("--reread", "also read unchanged files, and compare")
    .option("--source <name>", "back up only this source; may be repeated; the snapshot is partial", collect)
    .action(async (_flags: object, self: Command) => {
      const flags = self.optsWithGlobals<Flags>();
      const isPart = flags.source !== undefined;
      await telling(shell, { verb: "backup", flags, isPart }, (about) => backup(shell, flags, about));
    });
  explain(
    command,
    ["drops backup", "drops backup --reread", "drops backup --source forgejo --json"],
    [3, 10, 11, 12, 13, 22],
  );
}

async function backup(shell: Shell, flags: Flags, about: About): Promise<void> {
  await using app = await openApp(shell, flags);
  const report = await app.backup({
    reread: flags.reread === true,
    sources: flags.source ?? [],
    signal: shell.signal,
  });
  const { backupInOneLine, backupInWords } = await import("../words/backup.ts");
  shell.screen.show(report, backupInWords);
  about.summary = backupInOneLine(report);
  const bad = report.sources.filter(({ error }) => error !== undefined);
  if (bad.length === 0) return;
  about.trouble = bad
    .map(({ name }) => name)
    .toSorted()
    .join(" ");
  const named = (which: typeof bad, words: string) =>
    which.length === 0 ? [] : [`${which.map(({ name }) => name).join(", ")} ${words}`];
  const what = [
    ...named(
      bad.filter(({ outcome }) => outcome === "failed"),
      "could not be backed up",
    ),
    ...named(
      bad.filter(({ outcome }) => outcome !== "failed"),
      "could not be read completely",
    ),
  ];
  throw new DropsError("backup/partial", `${what.join(", ")}, the rest is stored`, {
    hint: `drops show ${report.snapshot.id}`,
  });
}
