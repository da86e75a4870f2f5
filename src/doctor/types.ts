import type { Cancel } from "../lib/cancel.ts";

/** What a source was found to be. */
export interface LookedAt {
  readonly lines: readonly Line[];
  /** What a first backup has to read; undefined where only reading would tell. */
  readonly bytes?: number | undefined;
}

/** In the order in which they are told. Names in JSON and of `--only`, so none is ever renamed. */
export const GROUPS = [
  "policy",
  "keys",
  "host",
  "sources",
  "coverage",
  "store",
  "nights",
  "estimate",
] as const;
export type Group = (typeof GROUPS)[number];

/** `unable`: it could not be found out, which is not the same as well. Worst last. */
export const RESULTS = ["ok", "warn", "unable", "fail"] as const;
export type Result = (typeof RESULTS)[number];

/** What one look found. */
export interface Line {
  readonly result: Result;
  /** One sentence without a full stop. */
  readonly what: string;
  /** The next command, or what to change. Of everything that is not well. */
  readonly fix?: string | undefined;
  /** Where it differs from the check's own. */
  readonly why?: string | undefined;
}

/** What a check cannot do without. */
export type Need = "host" | "store";

export interface Check {
  readonly group: Group;
  readonly name: string;
  readonly why: string;
  readonly needs?: Need;
  /** How long it may take, in ms; default: a minute. */
  readonly limitMs?: number;
  /** A DropsError that it throws is a finding; anything else is a bug. */
  run(how: Cancel): Promise<readonly Line[]>;
}

export const ok = (what: string): Line => ({ result: "ok", what });
export const warn = (what: string, fix: string): Line => ({ result: "warn", what, fix });
export const fail = (what: string, fix: string): Line => ({ result: "fail", what, fix });
export const unable = (what: string, fix: string): Line => ({ result: "unable", what, fix });
