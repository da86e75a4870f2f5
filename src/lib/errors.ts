/** Every foreseen failure: its exit code (docs: README "Exit codes") and whether trying again may help. */
const FAILURES = {
  "usage/invalid": { exit: 2, retryable: false },
  "policy/invalid": { exit: 2, retryable: false },
  "backup/partial": { exit: 3, retryable: false },
  "repository/missing": { exit: 10, retryable: false },
  "snapshot/missing": { exit: 10, retryable: false },
  "store/unavailable": { exit: 11, retryable: true },
  "store/refused": { exit: 11, retryable: false },
  "store/missing": { exit: 20, retryable: false },
  "store/exists": { exit: 22, retryable: false },
  "host/unreachable": { exit: 12, retryable: true },
  "host/key-mismatch": { exit: 12, retryable: false },
  "host/login-refused": { exit: 12, retryable: false },
  "host/command-failed": { exit: 12, retryable: false },
  "source/failed": { exit: 12, retryable: false },
  "source/incomplete": { exit: 3, retryable: false },
  "key/missing": { exit: 13, retryable: false },
  "key/wrong": { exit: 13, retryable: false },
  "signature/untrusted": { exit: 13, retryable: false },
  "data/damaged": { exit: 20, retryable: false },
  "data/missing": { exit: 20, retryable: false },
  "drill/unproven": { exit: 21, retryable: false },
  "status/not-green": { exit: 21, retryable: false },
  "doctor/not-well": { exit: 21, retryable: false },
  "notify/unreachable": { exit: 21, retryable: true },
  "notify/refused": { exit: 21, retryable: false },
  "format/unsupported": { exit: 22, retryable: false },
  "repository/exists": { exit: 22, retryable: false },
  "safety/refused": { exit: 22, retryable: false },
  "space/low": { exit: 22, retryable: false },
  "clock/skewed": { exit: 22, retryable: false },
  interrupted: { exit: 130, retryable: false },
} as const satisfies Record<string, { exit: number; retryable: boolean }>;

export type FailureCode = keyof typeof FAILURES;

export const FAILURE_CODES: readonly FailureCode[] = Object.keys(FAILURES) as FailureCode[];

/**
 * The one error class for what can be foreseen. The message is a sentence without a full stop that says what was
 * being done to what; the hint is the next command to type. Neither ever holds a secret.
 */
export class DropsError extends Error {
  override readonly name = "DropsError";
  readonly code: FailureCode;
  readonly hint: string | undefined;

  constructor(code: FailureCode, message: string, more: { hint?: string | undefined; cause?: unknown } = {}) {
    super(message, { cause: more.cause });
    this.code = code;
    this.hint = more.hint;
  }

  get exitCode(): number {
    return FAILURES[this.code].exit;
  }

  get retryable(): boolean {
    return FAILURES[this.code].retryable;
  }
}

/** The failure of what is not done since it could do harm. */
export function refused(message: string, hint?: string): DropsError {
  return new DropsError("safety/refused", message, { hint });
}

/** Whether `error` is a DropsError, with one of these codes if any are given: catch only what can be answered. */
export function isFailure<Code extends FailureCode = FailureCode>(
  error: unknown,
  ...codes: readonly Code[]
): error is DropsError & { readonly code: Code } {
  const wanted: readonly FailureCode[] = codes;
  return error instanceof DropsError && (wanted.length === 0 || wanted.includes(error.code));
}

/** `ENOENT` and its like, from what a system call threw; undefined for anything else. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error) || typeof error.code !== "string") return undefined;
  return /^E[A-Z0-9]+$/.test(error.code) ? error.code : undefined;
}

/** The message of whatever was thrown, for use inside another sentence. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
