import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs, promisify } from "node:util";
import { DropsError, isFailure } from "../src/lib/errors.ts";
import { loadPolicy } from "../src/policy/load.ts";
import type { Policy } from "../src/policy/schema.ts";
import { checkSecretFile, evidenceKey, expectedCredentials, secretFiles } from "./lib/secret-files.ts";
import { syncUnits } from "./lib/unit-directory.ts";
import { CREDENTIALS, type Credential, credentialsOf, JOBS, unitFiles } from "./lib/unit-files.ts";

/** Jobs of another machine than the one that backs up: never without being named. */
const ASKED_FOR: readonly string[] = ["drill"];

const USAGE = `usage: install-systemd --policy FILE [options]
Writes the units of a policy to /etc/systemd/system. Run it again after a change: it writes what differs.

  --job NAME               only this job; may be repeated (${Object.keys(JOBS.jobs).join(", ")}); without it all but
                           ${ASKED_FOR.join(", ")}, prune where the store's key may not delete, and
                           keeper where nothing is locked or it has no key of its own
  --credential NAME=FILE   units find FILE at ${CREDENTIALS}/NAME; JOB:NAME=FILE for one job alone; may be repeated
  --calendar JOB=WHEN      when, as systemd.time(7) has it: --calendar 'backup=*-*-* 03:15'
  --delay JOB=SPAN         at most so much later, at random: --delay backup=5min
  --user NAME              who runs the jobs that need no rights on this machine; default: root without capabilities
  --drops FILE             the installed program; default: this checkout
  --enable                 start the timers too
  --uninstall              stop the timers and remove the units; backups and keys stay
  --root DIR               write below DIR, and do not talk to systemd`;

const run = promisify(execFile);
const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

try {
  await main();
} catch (error) {
  if (!isFailure(error)) throw error;
  process.stderr.write(`install-systemd: ${error.message}\n${error.hint ? `hint: ${error.hint}\n` : ""}`);
  process.exitCode = error.exitCode;
}

type Flags = ReturnType<typeof readFlags>;

async function main(): Promise<void> {
  const flags = readFlags();
  if (flags.help) say(USAGE);
  else if (flags.policy === undefined)
    throw new DropsError("usage/invalid", "which policy?", { hint: USAGE });
  else if (flags.uninstall) await uninstall(flags, await loadPolicy(resolve(flags.policy)));
  else await install(flags, resolve(flags.policy));
}

async function uninstall(flags: Flags, { policy }: { readonly policy: Policy }): Promise<void> {
  const timers = Object.keys(JOBS.jobs).map((job) => `drops-${job}@${policy.name}.timer`);
  for (const timer of timers) await systemctl(flags, "disable", "--now", timer).catch(() => {}); // was never there
  const { removed } = await syncUnits(unitDirectory(flags), policy.name, new Map());
  await systemctl(flags, "daemon-reload");
  say(removed.length === 0 ? "there was nothing to remove" : `removed ${removed.join(", ")}`);
}

async function install(flags: Flags, policyFile: string): Promise<void> {
  const { policy } = await loadPolicy(policyFile);
  const drops = flags.drops ? [resolve(flags.drops)] : thisCheckout();
  const credentials = (flags.credential ?? []).map(readCredential);
  const jobs = flags.job ?? (await usualJobs(drops, policy, credentials));
  await checkJobs(jobs, drops, flags, policy);
  const calendars = await readTimes("calendar", flags.calendar ?? [], jobs);
  const delays = await readTimes("timespan", flags.delay ?? [], jobs);
  await checkSecrets(policy, jobs, credentials, flags);
  const user = flags.user === undefined ? {} : { user: flags.user };
  const files = unitFiles({ policy, policyFile, drops, jobs, credentials, calendars, delays, ...user });
  const { written, removed } = await syncUnits(unitDirectory(flags), policy.name, files);
  const timers = jobs.map((job) => `drops-${job}@${policy.name}.timer`);
  await systemctl(flags, "daemon-reload");
  await systemctl(flags, "try-restart", ...timers); // a timer that is on keeps its old time otherwise
  if (flags.enable) await systemctl(flags, "enable", "--now", ...timers);
  for (const name of written) say(`wrote ${name}`);
  for (const name of removed) say(`removed ${name}`);
  if (written.length + removed.length === 0) say("all units are as they should be");
  tellNext(policy, jobs, flags.enable === true);
}

function unitDirectory(flags: Flags): string {
  return join(flags.root ?? "/", "etc/systemd/system");
}

async function systemctl(flags: Flags, ...words: readonly string[]): Promise<void> {
  if (flags.root === undefined) await run("systemctl", words);
}

function readFlags() {
  try {
    return parseArgs({
      options: {
        policy: { type: "string" },
        job: { type: "string", multiple: true },
        credential: { type: "string", multiple: true },
        calendar: { type: "string", multiple: true },
        delay: { type: "string", multiple: true },
        user: { type: "string" },
        drops: { type: "string" },
        root: { type: "string" },
        enable: { type: "boolean" },
        uninstall: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    }).values;
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new DropsError("usage/invalid", message, { cause, hint: USAGE });
  }
}

function readCredential(text: string): Credential {
  const found = /^(?:(?<job>[a-z]+):)?(?<name>[A-Za-z0-9][A-Za-z0-9._-]{0,99})=(?<file>\/.+)$/.exec(
    text,
  )?.groups;
  const job = found?.["job"];
  if (!found || (job !== undefined && !(job in JOBS.jobs)))
    throw new DropsError("usage/invalid", `not a credential: ${text.split("=")[0]}`, {
      hint: `--credential signing-key=/etc/drops/keys/signing-key, or for one job --credential prune:s3=/etc/drops/keys/s3-prune`,
    });
  const { name = "", file = "" } = found;
  return { name, file, ...(job !== undefined && { job }) };
}

/** By job. Whether systemd understands the times, systemd is asked. */
async function readTimes(
  kind: "calendar" | "timespan",
  given: readonly string[],
  jobs: readonly string[],
): Promise<Readonly<Record<string, string>>> {
  const times: Record<string, string> = {};
  for (const text of given) {
    const [job = "", when = ""] = [text.slice(0, text.indexOf("=")), text.slice(text.indexOf("=") + 1)];
    if (!jobs.includes(job))
      throw new DropsError("usage/invalid", `not JOB=TIME of a job that is installed: ${text}`, {
        hint: "--calendar 'backup=*-*-* 03:15' --delay backup=5min",
      });
    await run("systemd-analyze", [kind, "--", when]).catch((cause: unknown) => {
      throw new DropsError(
        "usage/invalid",
        `systemd does not understand ${JSON.stringify(when)} for ${job}`,
        {
          cause,
          hint: `systemd-analyze ${kind} tells; systemd.time(7) describes it`,
        },
      );
    });
    times[job] = when;
  }
  return times;
}

function thisCheckout(): readonly string[] {
  return [process.execPath, new URL("../src/main.ts", import.meta.url).pathname];
}

/** All that this version can do, on the machine that backs up. */
async function usualJobs(
  drops: readonly string[],
  policy: Policy,
  credentials: readonly Credential[],
): Promise<readonly string[]> {
  const jobs: string[] = [];
  for (const job of Object.keys(JOBS.jobs)) {
    if (ASKED_FOR.includes(job) || (job === "keeper" && !policy.object_lock)) continue;
    if (!mayRun(job, policy, credentials))
      say(`no ${job} job: it needs a key of its own, --credential ${job}:NAME=FILE`);
    else if (await knows(drops, job)) jobs.push(job);
  }
  return jobs;
}

/** An S3 writer's key can neither delete nor lock what is there, and must not. */
function mayRun(job: string, { store }: Policy, credentials: readonly Credential[]): boolean {
  if (job !== "prune" && job !== "keeper") return true;
  return "directory" in store || credentials.some((each) => each.job === job);
}

async function checkJobs(
  jobs: readonly string[],
  drops: readonly string[],
  { user }: Flags,
  policy: Policy,
): Promise<void> {
  if (jobs.includes("drill") && (user === undefined || user === "root"))
    throw new DropsError("usage/invalid", "a drill runs code out of the backup, which root must not", {
      hint: "--user NAME, an unprivileged user of a machine that has no login on the server",
    });
  if (jobs.includes("keeper") && !policy.object_lock)
    throw new DropsError(
      "policy/invalid",
      `policy ${policy.name} has no object_lock: there is nothing to keep locked`,
      {
        hint: "object_lock: { mode: governance, margin: 14d } in the policy, for a bucket with Object Lock",
      },
    );
  for (const job of jobs) {
    if (!(job in JOBS.jobs))
      throw new DropsError("usage/invalid", `no such job: ${job}`, {
        hint: Object.keys(JOBS.jobs).join(", "),
      });
    if (!(await knows(drops, job)))
      throw new DropsError("usage/invalid", `${drops.join(" ")} knows no ${job}`);
  }
}

async function knows([program = "", ...first]: readonly string[], verb: string): Promise<boolean> {
  const { stdout } = await run(program, [...first, verb, "--help"]).catch(() => ({ stdout: "" }));
  return stdout.startsWith(`Usage: drops ${verb} `);
}

async function checkSecrets(
  policy: Policy,
  jobs: readonly string[],
  credentials: readonly Credential[],
  flags: Flags,
): Promise<void> {
  const below = (file: string) => (flags.root === undefined ? file : join(flags.root, file));
  const runner = flags.user === undefined ? 0 : Number((await run("id", ["-u", flags.user])).stdout);
  for (const file of secretFiles(policy, jobs)) await checkSecretFile(below(file), runner);
  for (const { file } of credentials) await checkSecretFile(below(file), 0); // systemd reads them, as root
  for (const job of jobs) {
    const given = credentialsOf(job, credentials).map(({ name }) => name);
    const missing = expectedCredentials(policy, job).filter((name) => !given.includes(name));
    if (missing.length > 0)
      throw new DropsError("key/missing", `the ${job} unit would have no ${CREDENTIALS}/${missing[0]}`, {
        hint: `--credential ${missing[0]}=FILE`,
      });
    const file = evidenceKey(policy, job);
    const isGiven = given.some((name) => file === `${CREDENTIALS}/${name}`);
    if (file !== undefined && !isGiven) await checkEvidenceKey(file, job, { below, runner });
  }
}

async function checkEvidenceKey(
  file: string,
  job: string,
  { below, runner }: { readonly below: (file: string) => string; readonly runner: number },
): Promise<void> {
  if (existsSync(below(file))) return checkSecretFile(below(file), runner);
  say(`${job} will publish nothing of what it finds: there is no ${file} to sign it with`);
}

function tellNext(policy: Policy, jobs: readonly string[], enabled: boolean): void {
  const first = `drops-${jobs[0]}@${policy.name}`;
  const timers = jobs.map((job) => `drops-${job}@${policy.name}.timer`).join(" ");
  say("\nnext:");
  say(`  systemctl start ${first}.service         now, once; it comes back when it is done`);
  say(`  journalctl -u ${first}.service           what it said`);
  if (!enabled) say(`  systemctl enable --now ${timers}`);
  say("  systemctl list-timers 'drops-*'          when it runs");
  say(
    "  /etc/drops/on-failure                    a program of yours that is started with the name of a unit that failed",
  );
}
