import { type Command, Option } from "commander";
import type { GuidedOptions } from "../guided/report.ts";
import type { ReadAccess } from "../lib/access.ts";
import type { AppContext, Prompt } from "../lib/context.ts";
import { DropsError } from "../lib/errors.ts";
import type { SnapshotChoice } from "../restore/choose.ts";
import type { Retention } from "../retention/retention.ts";
import type { App, AppModule, Guided, Reader } from "./app.ts";
import { type ExitCode, exitsInWords } from "./exits.ts";
import type { Screen } from "./screen.ts";

/** What every command file is handed. */
export interface Shell {
  readonly screen: Screen;
  readonly signal: AbortSignal;
  readonly context: AppContext;
  /** Loads the app, with all its libraries, when a command first needs it. */
  readonly app: () => Promise<AppModule>;
  /** Someone to ask; undefined when there is no terminal. */
  readonly prompt?: Prompt | undefined;
}

export interface GlobalFlags {
  readonly policy?: string;
  /** False with --no-notify. */
  readonly notify?: boolean;
}

export interface ReadFlags extends GlobalFlags {
  readonly store?: string;
  readonly identity?: readonly string[];
  readonly trustedSigner?: readonly string[];
  readonly trustUnsigned?: true;
  readonly hidden?: true;
  readonly expectHead?: string;
}

export interface HostFlags {
  readonly host?: string;
  readonly sshKey?: string;
  readonly hostKey?: string;
}

export interface ChoiceFlags {
  readonly date?: string;
  readonly snapshot?: string;
}

export async function openApp(shell: Shell, flags: GlobalFlags): Promise<App> {
  const { openApp } = await shell.app();
  return openApp({ policy: flags.policy }, shell.context);
}

export async function openReader(shell: Shell, flags: ReadFlags): Promise<Reader> {
  const { openReader } = await shell.app();
  return openReader(accessOf(flags), shell.context);
}

export async function openGuided(shell: Shell, flags: ReadFlags & HostFlags): Promise<Guided> {
  const { openGuided } = await shell.app();
  const { host, sshKey, hostKey } = flags;
  return openGuided({ ...accessOf(flags), host, sshKey, hostKey }, shell.context);
}

export async function openRetention(shell: Shell, { policy }: GlobalFlags): Promise<Retention> {
  const { openRetention } = await shell.app();
  return openRetention({ policy }, shell.context);
}

export function accessOf(flags: ReadFlags): ReadAccess {
  return {
    policy: flags.policy,
    store: flags.store,
    identities: flags.identity ?? [],
    trustedSigners: flags.trustedSigner ?? [],
    trustUnsigned: flags.trustUnsigned === true,
    ...(flags.hidden ? { hidden: true } : {}),
    ...(flags.expectHead === undefined ? {} : { expectHead: parseHead(flags.expectHead) }),
  };
}

/** Options of commands that read: they work from a policy, or from a store and an identity alone. */
export function addReadOptions(command: Command): Command {
  return command
    .option(
      "--store <url>",
      "s3://bucket/prefix?endpoint=https://… or a directory; works without a policy file",
    )
    .option("--identity <file>", "age identity that opens the snapshots; may be repeated", collect)
    .option("--trusted-signer <key>", "trusted public key, or a file of such lines; may be repeated", collect)
    .option("--trust-unsigned", "accept snapshots without a trusted signature: anyone may have written them")
    .option("--hidden", "in a bucket with versions: also read overwritten and deleted objects")
    .option("--expect-head <id>", "refuse a store without this snapshot: it was rolled back");
}

/** Options of commands that work on a host. */
export function addHostOptions(command: Command): Command {
  return command
    .option("--host <user@address:port>", "machine to restore onto; default: the policy's host")
    .option("--ssh-key <file>", "SSH private key; default: the policy's, else what ssh would use")
    .option("--host-key <line>", "the machine's SSH host key; default: the policy's, else known_hosts");
}

function parseHead(text: string): string {
  if (/^[0-9a-f]{8,16}$/.test(text)) return text;
  throw new DropsError(
    "usage/invalid",
    "--expect-head takes the id of a snapshot, or its first 8 digits or more",
    {
      hint: "drops backup and alerts print it",
    },
  );
}

export function addChoiceOptions(command: Command): Command {
  return command
    .addOption(new Option("--date <words>", "2026-11-20, latest, yesterday, …").conflicts("snapshot"))
    .option("--snapshot <id>", "an id from drops snapshots");
}

/** Throws usage/invalid when neither --date nor --snapshot was given. */
export function choiceOf(flags: ChoiceFlags): SnapshotChoice {
  if (flags.snapshot !== undefined) return { id: flags.snapshot };
  if (flags.date !== undefined) return { date: flags.date };
  throw new DropsError("usage/invalid", "no snapshot given", {
    hint: "use --date 2026-11-20, --date latest, or --snapshot ID (drops snapshots lists them)",
  });
}

/** A whole number, not negative. Throws usage/invalid. */
export function parseCount(text: string): number {
  if (/^\d{1,4}$/.test(text)) return Number(text);
  throw new DropsError("usage/invalid", `"${text.slice(0, 40)}" is not a number of snapshots`, {
    hint: "a whole number, such as 7",
  });
}

/** For options that may be repeated. */
export function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

/** What says what a guided restore will do. */
export function sayingPlan({ context }: Shell): NonNullable<GuidedOptions["onPlanned"]> {
  return async (report) => {
    const { planLines } = await import("./words/guided.ts");
    for (const line of planLines(report)) context.reporter.say(line);
  };
}

/** Examples and exit codes below a command's own help. */
export function explain(
  command: Command,
  examples: readonly string[],
  exits: readonly ExitCode[],
  more = "",
): Command {
  const listed = examples.map((example) => `  ${example}`).join("\n");
  const codes = exitsInWords([0, 2, ...exits, 130].toSorted((a, b) => a - b) as ExitCode[]);
  return command.addHelpText("after", `${more}\nExamples:\n${listed}\n\nExit codes:\n${codes}`);
}
