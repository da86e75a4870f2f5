import { TZDate } from "@date-fns/tz";
import { type KeepRules, keep } from "../../src/retention/keep.ts";
import { Calendar } from "../../src/retention/periods.ts";

/** When backups ended: ISO times in UTC, whole seconds, oldest first. */
export interface History {
  readonly zone: string;
  readonly kind: string;
  readonly times: readonly string[];
}

export interface OracleCase {
  readonly rules: KeepRules["rules"];
  readonly history: number;
  readonly zone: string;
  readonly times: readonly string[];
  readonly policy: Omit<KeepRules, "rules">;
  /** Times that the oracle keeps, sorted. */
  readonly kept: readonly string[];
}

/** What drops keeps of a case: times, sorted. Of two with the same time either may be the one. */
export function keptTimes({ rules, zone, times, policy }: Omit<OracleCase, "kept">): string[] {
  const snapshots = times.map((time, at) => ({ id: String(at), at: new Date(time) }));
  const kept = keep(snapshots, { rules, ...policy }, new Calendar(zone));
  return times.filter((_, at) => kept.has(String(at))).sort();
}

/** A case as it lies in test/golden/retention-oracle.json: rules, history, policy, seconds since 1970, which of them are kept. */
export type CompactCase = readonly [
  rules: KeepRules["rules"],
  history: number,
  policy: readonly number[],
  times: readonly number[],
  kept: readonly number[],
];

export function compact({ rules, history, policy, times, kept }: OracleCase): CompactCase {
  const { last, daily, weekly, monthly, yearly } = policy;
  const seconds = (all: readonly string[]) => all.map((time) => Date.parse(time) / 1000);
  return [rules, history, [last, daily, weekly, monthly, yearly], seconds(times), seconds(kept)];
}

export function expand(
  [rules, history, policy, times, kept]: CompactCase,
  zones: readonly string[],
): OracleCase {
  const [last = 0, daily = 0, weekly = 0, monthly = 0, yearly = 0] = policy;
  const iso = (all: readonly number[]) => all.map((second) => new Date(second * 1000).toISOString());
  return {
    rules,
    history,
    zone: zones[history] ?? "",
    times: iso(times),
    policy: { last, daily, weekly, monthly, yearly },
    kept: iso(kept),
  };
}

/** Zones with an hour, half an hour and no change of clocks, and far from Greenwich on both sides. */
const ZONES = [
  "Europe/Berlin",
  "America/New_York",
  "Pacific/Auckland",
  "UTC",
  "Asia/Kolkata",
  "America/St_Johns",
  "Australia/Lord_Howe",
  "Pacific/Kiritimati",
  "America/Sao_Paulo",
] as const;

/** Local beginnings: before clocks change in spring and autumn, before ISO years of 52 and 53 weeks end, before a leap day. */
const BEGINNINGS = [
  [2026, 2, 22],
  [2026, 9, 20],
  [2026, 11, 24],
  [2020, 11, 22],
  [2024, 1, 20],
  [2025, 11, 20],
  [2026, 3, 1],
] as const;

/** Local times of a day that lie on or beside its borders. */
const EDGES = [0, 1, 86_399, 7_200, 9_000, 10_800, 43_200] as const;

const KINDS: Readonly<Record<string, (random: () => number) => number[]>> = {
  /** Seconds after the first midnight. */
  nightly: () => Array.from({ length: 22 }, (_, day) => day * 86_400 + 9_000),
  edges: (random) =>
    Array.from({ length: 22 }, (_, day) => day * 86_400 + (EDGES[Math.floor(random() * EDGES.length)] ?? 0)),
  gaps: (random) => walk(random, 22, 5 * 86_400),
  "months apart": (random) => walk(random, 22, 40 * 86_400),
  "years apart": (random) => walk(random, 16, 300 * 86_400),
  "many a day": (random) => walk(random, 26, 12 * 3_600),
  twins: (random) => walk(random, 11, 4 * 86_400).flatMap((at) => [at, at]),
  few: (random) => walk(random, 1 + Math.floor(random() * 3), 20 * 86_400),
};

/** Histories that reach every kind and zone; the same for the same seed. */
export function historiesOf(seed: number, count: number): History[] {
  const random = randomOf(seed);
  const kinds = Object.entries(KINDS);
  return Array.from({ length: count }, (_, n) => {
    const [kind, make] = kinds[n % kinds.length] ?? ["", () => []];
    const zone = ZONES[Math.floor(random() * ZONES.length)] ?? "UTC";
    const [year, month, day] = BEGINNINGS[Math.floor(random() * BEGINNINGS.length)] ?? [2026, 0, 1];
    const times = make(random).map((seconds) => {
      // Calendar arithmetic: a day later is the same time on the clock, whatever the clocks do in between.
      const wall = new TZDate(year, month, day + Math.floor(seconds / 86_400), 0, 0, seconds % 86_400, zone);
      return `${new Date(wall.getTime()).toISOString().slice(0, 19)}.000Z`;
    });
    return { zone, kind, times: times.sort() };
  });
}

/** 30 policies, from the usual to the odd. */
export function policiesOf(): Omit<KeepRules, "rules">[] {
  const none = { last: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0 };
  const rows: Partial<typeof none>[] = [
    { daily: 7, weekly: 4, monthly: 12 },
    { daily: 14, weekly: 8, monthly: 12 },
    { last: 1 },
    { last: 5 },
    { last: 100 },
    { daily: 1 },
    { daily: 7 },
    { daily: 100 },
    { weekly: 1 },
    { weekly: 4 },
    { weekly: 60 },
    { monthly: 1 },
    { monthly: 3 },
    { monthly: 100 },
    { yearly: 1 },
    { yearly: 3 },
    { last: 3, daily: 7 },
    { last: 3, weekly: 2, yearly: 1 },
    { daily: 2, weekly: 2 },
    { daily: 2, monthly: 2 },
    { weekly: 2, monthly: 2 },
    { weekly: 3, yearly: 2 },
    { daily: 1, weekly: 1, monthly: 1, yearly: 1 },
    { last: 1, daily: 1, weekly: 1, monthly: 1, yearly: 1 },
    { daily: 3, weekly: 3, monthly: 3, yearly: 3 },
    { last: 2, daily: 5, weekly: 5, monthly: 5, yearly: 5 },
    { daily: 10, yearly: 10 },
    { monthly: 6, yearly: 2 },
    { last: 10, monthly: 2 },
    { daily: 30, weekly: 12, monthly: 24, yearly: 10 },
  ];
  return rows.map((row) => ({ ...none, ...row }));
}

function walk(random: () => number, steps: number, mostSeconds: number): number[] {
  let at = 0;
  return Array.from({ length: steps }, () => {
    at += 1 + Math.floor(random() * mostSeconds);
    return at;
  });
}

/** mulberry32, a small generator of the public domain by Tommy Ettinger: enough for test data. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
