import type { Host } from "../../host/host.ts";
import { ANY_EXIT } from "../../host/run-to-end.ts";
import type { Cancel } from "../../lib/cancel.ts";
import { isFailure } from "../../lib/errors.ts";
import type { CheckPolicy, PostgresPolicy, SourcePolicy } from "../../policy/schema.ts";
import { toolFailure } from "../../source/postgres/failure.ts";
import { withOwnerLogin } from "../../source/postgres/restore/owner-login.ts";
import { checkWords, wrongAnswer } from "../../source/postgres/sql-check.ts";
import { pathsOf } from "../../source/scope.ts";
import { type CheckResult, failed, passed } from "../run/check.ts";

/** A check that takes longer has failed. */
const LIMIT_MS = 15 * 60_000;
const MAX_OUTPUT = 1024 * 1024;
const HINT = "look at it before restore --finish: drops rollback puts the old back";

/** Into the source's path (the directory of a file), as who owns it, since git and others refuse what is another's. */
const ENTER = 'cd -- "$1" 2>/dev/null || cd -- "$(dirname -- "$1")" || exit 126; shift; exec "$@"';

/** Run the policy's checks on the restored service, one after the other. What could not be run has failed. */
export async function checkService(
  host: Host,
  checks: readonly CheckPolicy[],
  sources: readonly SourcePolicy[],
  how: Cancel & { readonly limitMs?: number },
): Promise<readonly CheckResult[]> {
  const found: CheckResult[] = [];
  for (const check of checks) {
    const source = sources.find(({ name }) => name === check.source);
    found.push(
      source ? await one(host, check, source, how) : notHeld(check, `there is no source ${check.source}`),
    );
  }
  return found;
}

async function one(
  host: Host,
  check: CheckPolicy,
  source: SourcePolicy,
  how: Cancel & { readonly limitMs?: number },
): Promise<CheckResult> {
  const limit = how.limitMs ?? LIMIT_MS;
  const clock = AbortSignal.timeout(limit);
  const signal = AbortSignal.any([how.signal, clock]);
  try {
    if (check.sql !== undefined && source.kind === "postgres")
      return await sqlCheck(host, check, check.sql, source, { signal, limitMs: limit });
    if (check.command !== undefined)
      return await commandCheck(host, check, check.command, source, { signal });
    return notHeld(check, `source ${source.name} is of kind ${source.kind}`);
  } catch (error) {
    how.signal.throwIfAborted();
    if (clock.aborted) return notHeld(check, `it took longer than ${limit / 1000} s and was ended`);
    if (isFailure(error, "source/failed", "host/command-failed"))
      return notHeld(check, error.message, error.hint);
    throw error;
  }
}

/** As the database's owner, in a session that is no superuser's: what the statement touches was restored, and may be code. */
async function sqlCheck(
  host: Host,
  check: CheckPolicy,
  sql: string,
  source: PostgresPolicy,
  how: Cancel & { readonly limitMs: number },
): Promise<CheckResult> {
  return await withOwnerLogin(
    host,
    source,
    async ({ login, role }) => {
      const { args, stdin } = checkWords(sql, { limitMs: how.limitMs, role });
      const ended = await login.run("psql", args, source.database, { signal: how.signal, stdin });
      if (ended.exit !== 0) return notHeld(check, toolFailure("psql", "the statement", ended).message);
      const wrong = wrongAnswer(ended.stdout);
      return wrong === undefined ? passed(check.name, "true") : notHeld(check, wrong);
    },
    how,
  );
}

async function commandCheck(
  host: Host,
  check: CheckPolicy,
  command: readonly string[],
  source: SourcePolicy,
  how: Cancel,
): Promise<CheckResult> {
  const [path] = pathsOf(source);
  if (path === undefined) return notHeld(check, `source ${source.name} has no directory`);
  const owner = await host.run(["stat", "-L", "-c", "%U", path], how);
  const as = owner.stdout.toString().trim();
  const ran = await host.run(["sh", "-c", ENTER, "drops-check", path, ...command], {
    ...how,
    okExits: ANY_EXIT,
    maxStdout: MAX_OUTPUT,
    ...(as === "UNKNOWN" ? {} : { as }),
  });
  if (ran.exit === 0) return passed(check.name, "exit status 0");
  const ended = ran.exit === undefined ? `ended by ${ran.signal ?? "a signal"}` : `exit status ${ran.exit}`;
  const said = `${ran.stderr}\n${ran.stdout.toString()}`.split("\n").filter((line) => line.trim() !== "");
  return notHeld(check, [ended, ...said.slice(-3)].join("; ").slice(0, 500));
}

/** Of a check of the policy. */
function notHeld({ name }: CheckPolicy, found: string, hint = HINT): CheckResult {
  return failed(name, found, hint);
}
