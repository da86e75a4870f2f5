/** Exit codes as `--help` prints them. */
export const EXITS = {
  0: "done, all of it",
  1: "a bug: please report",
  2: "wrong usage or policy",
  3: "partial: a source failed or is incomplete; the rest is stored",
  10: "no repository, or no such snapshot",
  11: "store unreachable or refused",
  12: "host unreachable, host key mismatch, or a command failed there",
  13: "key missing or wrong, or signature not trusted",
  20: "stored data is damaged or missing",
  21: "unproven: a check failed or could not run; status is not green or amber",
  22: "refused for safety (something exists already, no space, clock skew)",
  130: "interrupted, cleaned up",
} as const;

export type ExitCode = keyof typeof EXITS;

export function exitsInWords(codes: readonly ExitCode[]): string {
  return codes.map((code) => `  ${String(code).padStart(3)}  ${EXITS[code]}`).join("\n");
}
