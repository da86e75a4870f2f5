/**
 * What the real restic (independent rules) and borg (sequential rules) keep of given histories, as an oracle for
 * src/retention/keep.ts.
 *
 *   sh scripts/node test/campaigns/retention-oracle.ts --write             renews test/golden/retention-oracle.json
 *   sh scripts/node test/campaigns/retention-oracle.ts --sample 2 [--seed N]   new histories, compared at once
 *
 * Needs restic 0.19 (scripts/lib/restic.sh brings it) and borg 1.2 or later (Debian: borgbackup).
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import {
  compact,
  type History,
  historiesOf,
  keptTimes,
  type OracleCase,
  policiesOf,
} from "../support/histories.ts";

const { values } = parseArgs({
  options: {
    write: { type: "boolean", default: false },
    sample: { type: "string", default: "2" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
  },
});
const root = new URL("../../", import.meta.url).pathname;
const restic = execFileSync("sh", [join(root, "scripts/lib/restic.sh")])
  .toString()
  .trim();
const histories = values.write
  ? historiesOf(20261123, 40)
  : historiesOf(Number(values.seed), Number(values.sample));
const policies = policiesOf();

const work = mkdtempSync(join(tmpdir(), "drops-oracle-"));
try {
  const cases = [...independent(histories), ...sequential(histories)];
  const wrong = cases.filter((one) => keptTimes(one).join() !== one.kept.join());
  console.log(
    `${cases.length} cases of ${histories.length} histories (seed ${values.seed}), ${wrong.length} mismatches`,
  );
  for (const one of wrong.slice(0, 3)) console.log(JSON.stringify({ ...one, ours: keptTimes(one) }, null, 1));
  if (wrong.length > 0) process.exitCode = 1;
  if (values.write) {
    const oracles = { restic: version(restic, "version"), borg: version("borg", "--version") };
    writeFileSync(
      join(root, "test/golden/retention-oracle.json"),
      `${JSON.stringify({ oracles, zones: histories.map(({ zone }) => zone), cases: cases.map(compact) })
        .replaceAll('],["', '],\n["')
        .replace('"cases":[', '"cases":[\n')}\n`,
    );
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}

/** One repository with a host per history; one dry run per policy answers for all of them. */
function* independent(all: readonly History[]): Generator<OracleCase> {
  const repository = join(work, "restic");
  const env = {
    ...process.env,
    RESTIC_REPOSITORY: repository,
    RESTIC_PASSWORD: "oracle",
    RESTIC_CACHE_DIR: join(work, "cache"),
  };
  const run = (args: readonly string[], zone = "UTC") =>
    execFileSync(restic, [...args], { env: { ...env, TZ: zone }, input: "x", maxBuffer: 2 ** 28 }).toString();
  run(["init", "--quiet"]);
  for (const [n, { zone, times }] of all.entries()) {
    for (const time of times) {
      run(["backup", "--quiet", "--stdin", "--host", `h${n}`, "--time", localTime(time, zone)], zone);
    }
  }
  // As restic understood the local times: one that clocks showed twice may be either.
  const listed = JSON.parse(run(["snapshots", "--json"])) as { hostname: string; time: string }[];
  for (const policy of policies) {
    const groups = JSON.parse(
      run(["forget", "--dry-run", "--json", "--group-by", "host", ...flagsOf(policy)]),
    ) as { host: string; keep: { time: string }[] }[];
    for (const { host, keep } of groups) {
      const history = Number(host.slice(1));
      const times = isoTimes(listed.filter(({ hostname }) => hostname === host));
      const zone = all[history]?.zone ?? "";
      yield { rules: "independent", history, zone, times, policy, kept: isoTimes(keep) };
    }
  }
}

function* sequential(all: readonly History[]): Generator<OracleCase> {
  const repository = join(work, "borg");
  const env = {
    ...process.env,
    BORG_BASE_DIR: join(work, "borg-home"),
    BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: "yes",
  };
  const run = (args: readonly string[], zone = "UTC") =>
    execFileSync("borg", [...args], {
      env: { ...env, TZ: zone },
      cwd: work,
      stdio: ["ignore", "pipe", "pipe"],
      maxBuffer: 2 ** 28,
    }).toString();
  run(["init", "--encryption", "none", repository]);
  writeFileSync(join(work, "x"), "x");
  for (const [n, { times }] of all.entries()) {
    for (const [k, time] of times.entries()) {
      run(["create", "--timestamp", time.slice(0, 19), `${repository}::h${n}-${k}`, "x"]);
    }
  }
  for (const [history, { zone, times }] of all.entries()) {
    const hasTwins = new Set(times).size < times.length;
    for (const policy of policies) {
      if (policy.last > 0 && hasTwins) continue; // borg's last counts seconds
      const said = borgPrune(repository, `h${history}-*`, flagsOf(policy), { ...env, TZ: zone });
      const kept = [...said.matchAll(/^Keeping archive \(rule: [^)]*\):\s+h\d+-(\d+)\s/gm)];
      yield {
        rules: "sequential",
        history,
        zone,
        times,
        policy,
        kept: kept.map(([, k]) => times[Number(k)] ?? "").sort(),
      };
    }
  }
}

function flagsOf(policy: OracleCase["policy"]): string[] {
  return (["last", "daily", "weekly", "monthly", "yearly"] as const)
    .filter((rule) => policy[rule] > 0)
    .flatMap((rule) => [`--keep-${rule}`, String(policy[rule])]);
}

function isoTimes(snapshots: readonly { time: string }[]): string[] {
  return snapshots.map(({ time }) => new Date(time).toISOString()).sort();
}

/** borg says what it would keep on standard error. */
function borgPrune(
  repository: string,
  archives: string,
  flags: readonly string[],
  env: NodeJS.ProcessEnv,
): string {
  return execFileSync(
    "sh",
    [
      "-c",
      'exec borg prune --dry-run --list "$@" 2>&1',
      "sh",
      "--glob-archives",
      archives,
      ...flags,
      repository,
    ],
    { env },
  ).toString();
}

function version(program: string, flag: string): string {
  return execFileSync(program, [flag]).toString().split("\n")[0]?.split(" ").slice(0, 2).join(" ") ?? "";
}

/** What clocks in the zone showed, as restic reads it. */
function localTime(time: string, zone: string): string {
  const parts = new Intl.DateTimeFormat("sv-SE", { timeZone: zone, dateStyle: "short", timeStyle: "medium" });
  return parts.format(new Date(time));
}
