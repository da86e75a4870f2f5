import { readFileSync } from "node:fs";
import type { Policy } from "../../src/policy/schema.ts";

/** Where a unit finds its credentials, whatever files they come from: the same policy serves every unit. */
export const CREDENTIALS = "/run/drops/credentials";

/** How every file begins that the installer may replace or remove. */
export const WRITTEN_BY = "# Written by scripts/install-systemd";

type Settings = Readonly<Record<string, string | readonly string[]>>;

interface Job {
  readonly description: string;
  /** `{policy}` in here and in settings is the policy's name, `{job}` the job's. */
  readonly arguments: readonly string[];
  /** Whether it goes to the machine that is backed up; the others know the store alone. */
  readonly meetsHost: boolean;
  /** What the arguments name at `CREDENTIALS`, beside what the policy names there. */
  readonly credentials?: readonly string[];
  /** Over what its profile says. */
  readonly service?: Settings;
  readonly calendar: string;
  readonly delay: string;
  readonly limit: string;
}

/** The one description of the units, which nix/module.nix reads too. */
interface JobTable {
  readonly unit: Settings;
  readonly service: Settings;
  /** Of what tells of a job that failed; mail programs need more rights than a job has. */
  readonly alert: Settings;
  readonly profiles: { readonly capture: Settings; readonly away: Settings };
  readonly jobs: Readonly<Record<string, Job>>;
}

export const JOBS: JobTable = JSON.parse(
  readFileSync(new URL("../units/jobs.json", import.meta.url), "utf8"),
) as JobTable;

export interface UnitsOf {
  readonly policy: Policy;
  /** Absolute. */
  readonly policyFile: string;
  /** The command that runs drops, absolute, without arguments. */
  readonly drops: readonly string[];
  readonly jobs: readonly string[];
  /** Of the jobs that need no rights on this machine; default: root without any capability. */
  readonly user?: string;
  readonly credentials: readonly Credential[];
  /** By job, in the words of systemd.time(7); default: the table's. */
  readonly calendars?: Readonly<Record<string, string>>;
  readonly delays?: Readonly<Record<string, string>>;
}

export interface Credential {
  /** Only for this job; without it for every job that has none of this name. */
  readonly job?: string;
  readonly name: string;
  readonly file: string;
}

/** File names in the unit directory, and what they hold. Pure. */
export function unitFiles(of: UnitsOf): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  for (const name of of.jobs) {
    const job = JOBS.jobs[name];
    if (!job) throw new Error(`no such job: ${name}`);
    files.set(`drops-${name}@${of.policy.name}.service`, service(name, job, of));
    files.set(`drops-${name}@${of.policy.name}.timer`, timer(name, job, of));
    files.set(`drops-alert-${name}@${of.policy.name}.service`, alert(name, of));
  }
  files.set("drops-failed@.service", failedUnit());
  return files;
}

/** What this unit gets by LoadCredential=: its own first, then what is for all. */
export function credentialsOf(job: string, all: readonly Credential[]): readonly Credential[] {
  const own = all.filter((each) => each.job === job);
  const shared = all.filter(
    (each) => each.job === undefined && !own.some((other) => other.name === each.name),
  );
  return [...own, ...shared];
}

/** Whether the job reads this very machine, for which it must be root. */
export function isCapture(job: string, policy: Policy): boolean {
  return policy.host === "local" && JOBS.jobs[job]?.meetsHost === true;
}

function service(name: string, job: Job, of: UnitsOf): string {
  const capture = isCapture(name, of.policy);
  const unit: Settings = {
    Description: `drops: ${job.description} (${of.policy.name})`,
    ...JOBS.unit,
    ...(capture && { After: [`${JOBS.unit["After"]} postgresql.service`] }),
    // The empty services of a machine that is being restored are nothing to keep.
    ...(capture && { ConditionPathExists: `!${specifiersOff(of.policy.restore.gate)}` }),
    OnFailure: `drops-failed@%n.service drops-alert-${name}@${of.policy.name}.service`,
  };
  const own: Settings = {
    TimeoutStartSec: job.limit,
    ExecStart: command(of, ...job.arguments.map((each) => filled(each, name, of.policy))),
    ...(!capture && of.user && { User: of.user }),
    ...handedOver(name, `drops-${name}@${of.policy.name}.service`, of),
    ...(!capture &&
      "directory" in of.policy.store && {
        ReadWritePaths: word(`-${of.policy.store.directory}`), // drops says better that it is missing
      }),
  };
  const profile = capture ? JOBS.profiles.capture : JOBS.profiles.away;
  const table = named({ ...JOBS.service, ...profile, ...job.service }, name, of.policy);
  return sections({ Unit: unit, Service: { ...table, ...own } });
}

/** Started by OnFailure=: tells the policy's channels what the job could not tell itself. */
function alert(name: string, of: UnitsOf): string {
  const failed = `drops-${name}@${of.policy.name}.service`;
  const service: Settings = {
    ...named(JOBS.alert, name, of.policy),
    ExecStart: command(of, "notify", "failed", failed),
    // who may write what the job wrote, and read its log
    ...(!isCapture(name, of.policy) && of.user && { User: of.user, SupplementaryGroups: "systemd-journal" }),
    ...handedOver(name, `drops-alert-${name}@${of.policy.name}.service`, of),
  };
  return sections({
    Unit: { Description: `drops: tell that ${failed} failed` },
    Service: service,
  });
}

function command({ drops, policyFile }: UnitsOf, ...words: readonly string[]): string {
  return [...drops, "--policy", policyFile, ...words].map(word).join(" ");
}

function handedOver(name: string, unit: string, of: UnitsOf): Settings {
  const credentials = credentialsOf(name, of.credentials);
  if (credentials.length === 0) return {};
  return {
    LoadCredential: credentials.map((each) => `${each.name}:${specifiersOff(each.file)}`),
    BindReadOnlyPaths: `/run/credentials/${unit}:${CREDENTIALS}`,
  };
}

function named(settings: Settings, job: string, policy: Policy): Settings {
  const entries = Object.entries(settings).map(([key, value]) => {
    return [key, typeof value === "string" ? filled(value, job, policy) : value] as const;
  });
  return Object.fromEntries(entries);
}

function filled(text: string, job: string, { name }: Policy): string {
  return text.replaceAll("{policy}", name).replaceAll("{job}", job);
}

function timer(name: string, job: Job, of: UnitsOf): string {
  return sections({
    Unit: { Description: `drops: when to ${job.description} (${of.policy.name})` },
    Timer: {
      OnCalendar: of.calendars?.[name] ?? job.calendar,
      RandomizedDelaySec: of.delays?.[name] ?? job.delay,
      AccuracySec: "1s", // the random delay is all there is of it
      Persistent: "true",
      Unit: `drops-${name}@${of.policy.name}.service`,
    },
    Install: { WantedBy: "timers.target" },
  });
}

/** Started by OnFailure= with the failed unit as its instance: into the log, and to whoever the administrator named. */
function failedUnit(): string {
  return sections({
    Unit: { Description: "drops: tell that %i failed" },
    Service: {
      Type: "oneshot",
      SyslogLevel: "err",
      TimeoutStartSec: "5min",
      MemoryMax: "512M",
      TasksMax: "64",
      ExecStart: `/bin/sh -c ${word(FAILED)} drops-failed %i`,
    },
  });
}

/** In the unit's own syntax `$$` is `$`: systemd would replace variables itself. */
const FAILED = [
  "echo \"$1 failed: journalctl -u '$1' says why\"",
  'if [ -x /etc/drops/on-failure ]; then exec /etc/drops/on-failure "$1"; fi',
].join("; ");

/** One word of an ExecStart= line, or one path of a list: quotes, specifiers and variables are taken literally. */
function word(text: string): string {
  const literal = specifiersOff(text).replaceAll("$", "$$$$");
  if (/^[\w@%+=:,./~-]+$/.test(literal)) return literal;
  return `"${literal.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

function specifiersOff(text: string): string {
  return text.replaceAll("%", "%%");
}

function sections(all: Readonly<Record<string, Settings>>): string {
  const blocks = Object.entries(all).map(([name, settings]) => {
    const lines = Object.entries(settings).flatMap(([key, value]) =>
      (typeof value === "string" ? [value] : value).map((each) => `${key}=${each}`),
    );
    return [`[${name}]`, ...lines].join("\n");
  });
  return `${WRITTEN_BY}, which writes it anew: put changes into a drop-in (systemctl edit).\n${blocks.join("\n\n")}\n`;
}
