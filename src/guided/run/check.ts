/** What one look at something came to, before or after something is done. What could not be looked at has failed. */
export interface CheckResult {
  /** `locale`, `space for two copies in /var/lib`. */
  readonly name: string;
  readonly ok: boolean;
  /** What was found, in words. */
  readonly found: string;
  /** What to do about it; there whenever it is not ok. */
  readonly hint?: string;
}

export function passed(name: string, found: string): CheckResult {
  return { name, ok: true, found };
}

export function failed(name: string, found: string, hint: string): CheckResult {
  return { name, ok: false, found, hint };
}

/** Where the same words are said of what passed and of what failed. */
export function checked(ok: boolean, name: string, found: string, hint: string): CheckResult {
  return ok ? passed(name, found) : failed(name, found, hint);
}
