/**
 * Which packs a verify reads, so that over some runs all are read though packs come and go: names are hashes, so they lie
 * evenly on a ring of numbers. Each run reads an arc of it, and the next one goes on where that ended. What lies on the
 * ring for a whole turn has been read.
 */
export const RING = 2 ** 32;

/** A part of the ring: `span` (1 to RING) numbers from `from` on, past the end around. */
export interface Arc {
  readonly from: number;
  readonly span: number;
}

/** A part of the ring and when its packs were last read, as ISO 8601 in UTC. */
export interface CoveredArc extends Arc {
  readonly at: string;
}

export const WHOLE: Arc = { from: 0, span: RING };

export function isOn(arc: Arc, sha256: string): boolean {
  return distance(arc.from, placeOf(sha256)) < arc.span;
}

/** Where to go on: what was never read comes first, else what was read longest ago. Undefined when nothing was. */
export function oldestPlace(covered: readonly CoveredArc[]): number | undefined {
  if (covered.length === 0) return undefined;
  const pieces = withGaps(covered);
  const [oldest] = pieces.map(({ at }) => at).sort();
  const isStart = (at: number) => pieces.at(at - 1)?.at !== oldest; // its first piece may lie before the ring's end
  const found = pieces.find((piece, at) => piece.at === oldest && isStart(at));
  return (found ?? pieces[0])?.from;
}

/**
 * The next arc of at least `share` (0 to 1) of the ring, and long enough for that share of these packs, at least one.
 *
 * @param from where an earlier one ended
 */
export function nextArc(share: number, packs: readonly string[], from: number): Arc {
  if (share >= 1) return { from, span: RING };
  const wanted = Math.min(packs.length, Math.ceil(packs.length * share));
  const distances = packs.map((sha256) => distance(from, placeOf(sha256))).sort((a, b) => a - b);
  const last = distances[wanted - 1] ?? -1;
  return { from, span: Math.min(RING, Math.max(Math.ceil(share * RING), last + 1, 1)) };
}

/** The `part`-th of `of` parts of the ring, from 1, which together are the ring. */
export function partOf(part: number, of: number): Arc {
  const from = Math.floor(((part - 1) / of) * RING);
  return { from, span: Math.floor((part / of) * RING) - from };
}

/** What is known to have been read after `arc` was read at `at`: nothing overlaps, in the order of the ring. */
export function cover(covered: readonly CoveredArc[], arc: Arc, at: string): CoveredArc[] {
  const read = straight({ ...arc, at });
  const left = covered.flatMap(straight).flatMap((old) => read.reduce<CoveredArc[]>(without, [old]));
  return joined([...left, ...read].sort((a, b) => a.from - b.from));
}

export interface Coverage {
  /** Of the ring, and so of the packs, 0 to 1. */
  readonly share: number;
  /** Everything that was stored by then has been read since; absent while a part never was. */
  readonly since?: string;
}

export function coverageOf(covered: readonly CoveredArc[]): Coverage {
  const numbers = covered.reduce((sum, { span }) => sum + span, 0);
  const [since] = covered.map(({ at }) => at).sort();
  if (numbers !== RING || since === undefined) return { share: numbers / RING };
  return { share: 1, since };
}

function placeOf(sha256: string): number {
  return Number.parseInt(sha256.slice(0, 8), 16);
}

function distance(from: number, to: number): number {
  return (to - from + RING) % RING;
}

/** In pieces that do not go past the end. */
function straight({ from, span, at }: CoveredArc): CoveredArc[] {
  const over = from + span - RING;
  if (over <= 0) return [{ from, span, at }];
  return [
    { from: 0, span: over, at },
    { from, span: span - over, at },
  ];
}

/** What is left of each piece beside `cut`; both straight. */
function without(pieces: readonly CoveredArc[], cut: Arc): CoveredArc[] {
  const [start, stop] = [cut.from, cut.from + cut.span];
  return pieces.flatMap(({ from, span, at }) => {
    const before = Math.min(from + span, start) - from;
    const after = from + span - Math.max(from, stop);
    return [
      ...(before > 0 ? [{ from, span: before, at }] : []),
      ...(after > 0 ? [{ from: Math.max(from, stop), span: after, at }] : []),
    ];
  });
}

/** The whole ring in its order; what was never read has an empty time, which sorts first. */
function withGaps(covered: readonly CoveredArc[]): CoveredArc[] {
  const pieces: CoveredArc[] = [];
  let reached = 0;
  for (const piece of covered) {
    if (piece.from > reached) pieces.push({ from: reached, span: piece.from - reached, at: "" });
    pieces.push(piece);
    reached = piece.from + piece.span;
  }
  return reached < RING ? [...pieces, { from: reached, span: RING - reached, at: "" }] : pieces;
}

/** Neighbours that were read at the same time are one. */
function joined(pieces: readonly CoveredArc[]): CoveredArc[] {
  const found: CoveredArc[] = [];
  for (const piece of pieces) {
    const last = found.at(-1);
    if (last && last.at === piece.at && last.from + last.span === piece.from) {
      found[found.length - 1] = { ...last, span: last.span + piece.span };
    } else found.push(piece);
  }
  return found;
}
