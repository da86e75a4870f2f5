import type { FailureCode } from "../../src/lib/errors.ts";

/** One parser under attack: what is given to it, and what it may do. */
export interface FuzzTarget {
  readonly name: string;
  /** Failures that it may answer with; anything else that it throws is a crash. */
  readonly mayThrow: readonly FailureCode[];
  /** Other errors that it promises to throw of malformed input: the decoders inside a reader that catches them. */
  readonly refuses?: (error: unknown) => boolean;
  /** Real inputs to begin with; never empty. */
  seeds(): readonly Buffer[] | Promise<readonly Buffer[]>;
  /** What its format is made of, to be put into inputs. */
  readonly words?: readonly (string | Buffer)[];
  /** Bytes that belong together: half of all cuts are made between such. */
  readonly unit?: number;
  /** Make checksums and counts fit again, so that what lies behind them is reached. */
  mend?(bytes: Buffer): Buffer;
  /**
   * Parse, and check what the parser promises of a value that it accepts (a round trip, paths that stay inside) by
   * throwing whatever else. Answers how many bytes it made of the input.
   */
  run(bytes: Buffer): number | Promise<number>;
  /** How many bytes it may make of so many. Default: 64 of each, and 4 MiB. */
  most?(size: number): number;
  /** How long it may take for so many bytes, in milliseconds of processor time. Default: 0.25 s, and 1 s a MiB. */
  slow?(size: number): number;
}

export function mostOf(target: FuzzTarget, size: number): number {
  return target.most?.(size) ?? 4 * 1024 * 1024 + 64 * size;
}

export function slowOf(target: FuzzTarget, size: number): number {
  return target.slow?.(size) ?? 250 + size / 1024;
}
