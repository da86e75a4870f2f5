import { ANY_EXIT } from "../host/run-to-end.ts";
import type { Cancel } from "../lib/cancel.ts";
import type { CheckPolicy } from "../policy/restore-schema.ts";
import { checkWords, wrongAnswer } from "../source/postgres/sql-check.ts";
import type { LoadedDatabase } from "./check-postgres.ts";
import { type CheckFinding, couldNotRun, failed } from "./checks.ts";
import type { DrillContext, DrilledSource } from "./drill-context.ts";
import { scratchName } from "./load-dump.ts";

/** A check that takes longer has failed. */
export const CHECK_LIMIT_MS = 15 * 60_000;
const MOST_OUTPUT = 1024 * 1024;

/** A policy's SQL check, as the database's owner. */
export function sqlFinding(
  database: LoadedDatabase | undefined,
  sql: string,
  how: Cancel & { readonly limitMs?: number },
): Promise<CheckFinding | string> {
  return limited(how, async (signal) => {
    if (!database) return couldNotRun("its database could not be rebuilt");
    const { server, facts } = database;
    const client = server.client(scratchName(facts), facts.owner);
    const { args, stdin } = checkWords(sql, { limitMs: how.limitMs ?? CHECK_LIMIT_MS });
    const answered = await client.run("psql", args, { what: "the statement", signal, stdin });
    const wrong = wrongAnswer(answered.stdout);
    return wrong === undefined ? "true" : failed(wrong);
  });
}

/**
 * A policy's command check: exit status 0 in the restored directory, which was handed over to the sandbox. No shell sees
 * its words.
 */
export function commandFinding(
  { sandbox }: Pick<DrillContext, "sandbox">,
  directory: string,
  command: readonly string[],
  how: Cancel & { readonly limitMs?: number },
): Promise<CheckFinding | string> {
  return limited(how, async (signal) => {
    const argv = ["sh", "-c", 'cd -- "$1" && shift && exec "$@"', "drops-check", directory, ...command];
    const ran = await sandbox.run(argv, { signal, okExits: ANY_EXIT, maxStdout: MOST_OUTPUT });
    const said = `${ran.stderr}\n${ran.stdout.toString()}`.split("\n").filter((line) => line.trim() !== "");
    const words = said.slice(-3).join("; ").slice(-500);
    if (ran.exit === 0) return "exit status 0";
    if (ran.exit === 127 || ran.exit === 126) {
      return couldNotRun(
        `${shown(command[0] ?? "")} cannot be run here: ${words}`,
        "install it on the drill's machine",
      );
    }
    const ended = ran.exit === undefined ? `ended by ${ran.signal ?? "a signal"}` : `exit status ${ran.exit}`;
    return failed(words === "" ? ended : `${ended}: ${words}`);
  });
}

/** Checks of one source, or why they cannot run. Names are the policy's. */
export async function runPolicyChecks(
  context: DrillContext,
  checks: readonly CheckPolicy[],
  on: { readonly source: DrilledSource; readonly database: LoadedDatabase | undefined },
  how: Cancel & { readonly allowCommands: boolean; readonly limitMs?: number },
): Promise<void> {
  const { name, directory } = on.source;
  for (const check of checks) {
    const title = { id: `${name}/check/${check.name}`, source: name, name: check.name };
    const work = async (): Promise<CheckFinding | string> => {
      if (check.sql !== undefined) return sqlFinding(on.database, check.sql, how);
      if (!how.allowCommands) {
        return couldNotRun(
          "its command comes from the policy in the snapshot, which the backed-up machine wrote",
          "--checks-from POLICY.yaml with a policy of yours, or --run-commands",
        );
      }
      return commandFinding(context, directory, check.command ?? [], how);
    };
    await context.book.run(title, work, how);
  }
}

async function limited(
  how: Cancel & { readonly limitMs?: number },
  work: (signal: AbortSignal) => Promise<CheckFinding | string>,
): Promise<CheckFinding | string> {
  const limit = how.limitMs ?? CHECK_LIMIT_MS;
  const clock = AbortSignal.timeout(limit);
  try {
    return await work(AbortSignal.any([how.signal, clock]));
  } catch (error) {
    how.signal.throwIfAborted();
    if (!clock.aborted) throw error;
    return failed(`it took longer than ${limit / 1000} s and was ended`);
  }
}

function shown(text: string): string {
  const one = JSON.stringify(text.slice(0, 200));
  return text.length > 200 ? `${one}…` : one;
}
