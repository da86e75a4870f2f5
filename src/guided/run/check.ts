/** One thing that was looked at before or after something is done. What could not be looked at has failed. */
export interface Check {
  /** `locale`, `space for two copies in /var/lib`. */
  readonly name: string;
  readonly ok: boolean;
  /** What was found, in words. */
  readonly found: string;
  /** What to do about it; there whenever it is not ok. */
  readonly hint?: string;
}
