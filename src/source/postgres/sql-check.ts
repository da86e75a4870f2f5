import { quoteIdentifier } from "./quote.ts";

/** What psql is given to ask a policy's check. */
export interface CheckWords {
  readonly args: readonly string[];
  readonly stdin: string;
}

/** Rows that psql holds at a time, whatever the statement answers. */
const ROWS_AT_A_TIME = 1000;

/**
 * Ask a policy's SQL check: in one transaction that is read only and that nothing it calls can end, for no longer than
 * `limitMs` on the server. The statement reaches psql as a value, where no backslash of it is a command.
 *
 * What it touches belongs to the restored database and may run its code. So the session must be of a role that has no more
 * power than the database's owner: `role` is only who it becomes of the roles that it is a member of.
 */
export function checkWords(
  sql: string,
  how: { readonly limitMs: number; readonly role?: string | undefined },
): CheckWords {
  const lines = [
    `SET statement_timeout = ${Math.ceil(how.limitMs)};`,
    "SET lock_timeout = '60s';",
    ...(how.role === undefined ? [] : [`SET ROLE ${quoteIdentifier(how.role)};`]),
    "BEGIN TRANSACTION READ ONLY;",
    `\\set FETCH_COUNT ${ROWS_AT_A_TIME}`,
    "SELECT :'check' \\gexec",
    "ROLLBACK;",
  ];
  return {
    args: ["-X", "-q", "-A", "-t", "-w", "-v", "ON_ERROR_STOP=1", "-v", `check=${sql}`, "-f", "-"],
    stdin: `${lines.join("\n")}\n`,
  };
}

/** A check has passed when it answered one true value. Otherwise what it answered, for a sentence. */
export function wrongAnswer(stdout: Buffer): string | undefined {
  const answer = stdout.toString("utf8", 0, 1024).trimEnd();
  if (answer === "t") return undefined;
  const text = JSON.stringify(answer.slice(0, 200));
  return `it answered ${answer.length > 200 ? `${text}…` : text} instead of true`;
}
