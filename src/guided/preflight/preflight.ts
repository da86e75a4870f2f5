import type { Host } from "../../host/host.ts";
import type { Cancel } from "../../lib/cancel.ts";
import { isFailure } from "../../lib/errors.ts";
import { type CheckResult, checked, failed, passed } from "../run/check.ts";
import { HostAnswers, type HostQuestion } from "./ask.ts";
import { checkPrograms, programFact } from "./programs.ts";
import { checkSpace, type SpaceTarget } from "./space.ts";
import { lookAtUnits } from "./units.ts";
import { checkVersion } from "./version.ts";

export interface PreflightFacts {
  readonly gate: string;
  /** Of the policy. */
  readonly units: readonly string[];
  /** Of the record: when it ended, and the host facts of that day. */
  readonly snapshot: { readonly ended: string; readonly host: Readonly<Record<string, string>> };
  /** Names of users and groups that own entries. */
  readonly users: readonly string[];
  readonly groups: readonly string[];
  /** What will be brought beside the old, each with the path of the target and bytes and entries of the new. */
  readonly targets: readonly SpaceTarget[];
  /** RocksDB sources: their directory and `rocksdb_version` of their facts. */
  readonly databases: readonly {
    readonly source: string;
    readonly path: string;
    readonly rocksdbVersion: string | undefined;
  }[];
}

/** Debian packages, for the hint; NixOS has them all in its system path. */
const TOOLS: Readonly<Record<string, string>> = {
  tar: "tar",
  find: "findutils",
  xargs: "findutils",
  stat: "coreutils",
  sync: "coreutils",
  mv: "coreutils",
  cp: "coreutils",
  sha256sum: "coreutils",
  mktemp: "coreutils",
  truncate: "coreutils",
  flock: "util-linux",
  setpriv: "util-linux",
  getent: "libc-bin",
};
const GNU = ["tar", "find", "stat", "sync", "mv", "cp"];
/** Beyond this, certificates, tokens and federation begin to fail. */
const MAX_SKEW_MS = 120_000;

/**
 * Look at the host and change nothing that stays. All checks are made, whatever the first ones say; what could not be
 * looked at has failed. Throws only when the host is lost.
 */
export async function preflightHost(
  host: Host,
  facts: PreflightFacts,
  how: Cancel & { readonly now: () => Date },
): Promise<readonly CheckResult[]> {
  const checks: CheckResult[] = [checkRoot(host)];
  try {
    const before = how.now().getTime();
    const clock = await HostAnswers.ask(host, [["clock", "now"]], how);
    const after = how.now().getTime();
    checks.push(...checkClock(Number(clock.get("clock", "now")), { before, after }, facts));
    const answers = await HostAnswers.ask(host, questionsOf(facts), how);
    const { checks: ofUnits, dynamicUsers } = await lookAtUnits(host, facts, how);
    checks.push(checkTools(answers), ...ofUnits, ...checkOwners(facts, answers, dynamicUsers));
    checks.push(...checkSpace(facts.targets, (path) => answers.get("space", path)));
    checks.push(...facts.databases.map((database) => versionOf(database, facts, answers)));
    checks.push(...programsOf(facts, answers));
  } catch (error) {
    if (!isFailure(error, "host/command-failed")) throw error;
    const hint = error.hint ?? "log in as root with a POSIX shell";
    checks.push(failed("looking at the host", error.message, hint));
  }
  return checks;
}

function questionsOf(facts: PreflightFacts): readonly HostQuestion[] {
  return [
    ...Object.keys(TOOLS).map((name): HostQuestion => ["tool", name]),
    ...facts.users.map((name): HostQuestion => ["user", name]),
    ...facts.groups.map((name): HostQuestion => ["group", name]),
    ...facts.targets.map(({ path }): HostQuestion => ["space", path]),
    ...facts.databases.map(({ path }): HostQuestion => ["options", path]),
    ...facts.units.map((unit): HostQuestion => ["program", unit]),
    ["fact", "nixos_version"],
    ["fact", "nixos_system"],
  ];
}

function checkRoot({ user, label }: Host): CheckResult {
  if (user.uid === 0) return passed("root", `logged in as ${user.name}`);
  const found = `logged in as ${user.name} on ${label}: owners cannot be given back`;
  return failed("root", found, "--host root@…");
}

function checkTools(answers: HostAnswers): CheckResult {
  const missing = Object.keys(TOOLS).filter((tool) => answers.get("tool", tool) === "");
  const other = GNU.filter((tool) => answers.get("tool", tool) === "yes");
  if (missing.length + other.length === 0) return passed("tools", "all that are needed are there");
  const found = [
    ...(missing.length === 0 ? [] : [`missing: ${missing.join(", ")}`]),
    ...(other.length === 0 ? [] : [`not the GNU ones: ${other.join(", ")}`]),
  ];
  const packages = [...new Set([...missing, ...other].map((tool) => TOOLS[tool]))];
  return failed("tools", found.join("; "), `apt-get install ${packages.join(" ")}`);
}

function checkClock(
  told: number,
  asked: { readonly before: number; readonly after: number },
  { snapshot }: PreflightFacts,
): readonly CheckResult[] {
  if (!Number.isSafeInteger(told) || told <= 0)
    return [failed("clock", "the host does not report its time", "date +%s")];
  // anywhere between the two moments is right
  const skew = told < asked.before ? asked.before - told : Math.max(0, told - asked.after);
  const words = `${(skew / 1000).toFixed(1)} s ${told < asked.before ? "behind" : "ahead of"} this machine`;
  const hint = "set the clock: timedatectl set-ntp true; on the machine that is wrong";
  const ahead = Date.parse(snapshot.ended) - told;
  const isFuture = ahead > MAX_SKEW_MS;
  return [
    checked(skew <= MAX_SKEW_MS, "clock", skew === 0 ? "agrees with this machine" : words, hint),
    checked(
      !isFuture,
      "snapshot's time",
      `the snapshot ended in the host's ${isFuture ? "future" : "past"}`,
      hint,
    ),
  ];
}

function checkOwners(
  { users, groups }: PreflightFacts,
  answers: HostAnswers,
  dynamic: ReadonlyMap<string, string>,
): readonly CheckResult[] {
  const kinds = [
    { kind: "user", names: users },
    { kind: "group", names: groups },
  ] as const;
  return kinds
    .filter(({ names }) => names.length > 0)
    .map(({ kind, names }): CheckResult => {
      const absent = names.filter((name) => answers.get(kind, name) === "");
      const missing = absent.filter((name) => !dynamic.has(name));
      const name = `${kind}s that own files`;
      if (missing.length > 0)
        return failed(
          name,
          `not on the host: ${missing.join(", ")}`,
          `deploy the configuration that makes them, or: ${kind}add --system ${missing[0]}`,
        );
      const made = absent.map((each) => `${each} is made by systemd when ${dynamic.get(each)} starts`);
      const there = `${names.length - absent.length} of ${names.length} are there`;
      return passed(name, [there, ...made].join("; "));
    });
}

function programsOf({ units, snapshot }: PreflightFacts, answers: HostAnswers): readonly CheckResult[] {
  return checkPrograms(
    units.map((unit) => {
      const [was, is] = [snapshot.host[programFact(unit)], answers.get("program", unit)];
      return { unit, was: was || undefined, is: is || undefined };
    }),
  );
}

function versionOf(
  { source, path, rocksdbVersion }: PreflightFacts["databases"][number],
  { snapshot }: PreflightFacts,
  answers: HostAnswers,
): CheckResult {
  const was = (fact: string) => snapshot.host[fact] || undefined;
  const is = (fact: string) => answers.get("fact", fact) || undefined;
  return checkVersion({
    source,
    rocksdb: { was: rocksdbVersion, is: answers.get("options", path) || undefined },
    nixosVersion: { was: was("nixos_version"), is: is("nixos_version") },
    nixosSystem: { was: was("nixos_system"), is: is("nixos_system") },
  });
}
