import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { test } from "node:test";
import {
  type Arc,
  type CoveredArc,
  cover,
  coverageOf,
  isOn,
  nextArc,
  oldestPlace,
  partOf,
  RING,
  WHOLE,
} from "../../src/verify/rotation.ts";
import { seededRandom } from "../support/seeded-random.ts";

const day = (number: number): string => new Date(Date.UTC(2026, 0, 1 + number)).toISOString();
const named = (number: number): string => hash("sha256", String(number), "hex");
const at = (place: number): string => place.toString(16).padStart(8, "0").padEnd(64, "0");

/** A store whose packs come and go between the runs of a rotation. */
class Rotation {
  readonly share: number;
  readonly #random: () => number;
  readonly #seed: number;
  /** The run before which a pack came, and the last that read it. */
  readonly #packs = new Map<string, { readonly born: number; readonly read: number }>();
  #covered: CoveredArc[] = [];
  #next = 0;

  constructor(seed: number, share: number) {
    this.#random = seededRandom(seed);
    this.#seed = seed;
    this.share = share;
  }

  step(run: number): void {
    for (let more = Math.floor(this.#random() * 12); more > 0; more--)
      this.#packs.set(named(this.#seed * 1_000_000 + this.#next++), { born: run, read: -1 });
    for (const name of this.#packs.keys()) if (this.#random() < 0.02) this.#packs.delete(name);
    const from = oldestPlace(this.#covered) ?? Math.floor(this.#random() * RING);
    const arc = nextArc(this.share, [...this.#packs.keys()], from);
    this.#covered = cover(this.#covered, arc, day(run));
    for (const [name, pack] of this.#packs)
      if (isOn(arc, name)) this.#packs.set(name, { ...pack, read: run });
  }

  /** Runs that have passed without reading it, of the pack that this is most of. */
  mostNeglected(run: number): number {
    return Math.max(0, ...[...this.#packs.values()].map(({ born, read }) => run - Math.max(born - 1, read)));
  }

  isAllRead(): boolean {
    return coverageOf(this.#covered).since !== undefined;
  }
}

for (const share of [0.05, 0.01, 0.2, 1 / 3, 0.5, 0.07]) {
  const turn = Math.ceil(1 / share);
  test(`whatever comes and goes, of ${share} each time: every pack is read within ${turn} runs, again and again`, () => {
    for (let seed = 1; seed <= 8; seed++) {
      const rotation = new Rotation(seed, share);
      for (let run = 0; run < 3 * turn + 5; run++) {
        rotation.step(run);
        assert.ok(rotation.mostNeglected(run) < turn, `seed ${seed}, run ${run}`);
        if (run + 1 >= turn) assert.ok(rotation.isAllRead(), `seed ${seed}, run ${run}`);
      }
    }
  });
}

test("each place has the time that it was last read at, whatever was read in which order", () => {
  for (let seed = 1; seed <= 40; seed++) readAnyhow(seed);
});

function readAnyhow(seed: number): void {
  const random = seededRandom(seed);
  const names = Array.from({ length: 60 }, (_, number) => named(seed * 1000 + number));
  const lastRead = new Map<string, string | undefined>(names.map((name) => [name, undefined]));
  let covered: CoveredArc[] = [];
  for (let run = 0; run < 40; run++) {
    const span = 1 + Math.floor(random() * (RING / 4));
    const arc: Arc = random() < 0.05 ? WHOLE : { from: Math.floor(random() * RING), span };
    covered = cover(covered, arc, day(run));
    for (const name of names) if (isOn(arc, name)) lastRead.set(name, day(run));
    assert.deepEqual(timesIn(covered, names), [...lastRead.values()]);
    assertSound(covered);
  }
}

function timesIn(covered: readonly CoveredArc[], names: readonly string[]): (string | undefined)[] {
  return names.map((name) => covered.find((piece) => isOn(piece, name))?.at);
}

/** In the order of the ring, none over another; "since" is the oldest of their times, once nothing is left out. */
function assertSound(covered: readonly CoveredArc[]): void {
  const ends = covered.map(({ from, span }) => from + span);
  for (const [index, { from }] of covered.entries()) assert.ok((ends[index - 1] ?? 0) <= from);
  const { share, since } = coverageOf(covered);
  const oldest = covered.map(({ at }) => at).sort()[0];
  assert.equal(since, share < 1 ? undefined : oldest);
}

test("the parts of a number are the ring, and none is read twice", () => {
  for (const parts of [1, 2, 3, 7, 20, 999]) {
    let covered: CoveredArc[] = [];
    let numbers = 0;
    for (let part = 1; part <= parts; part++) {
      const arc = partOf(part, parts);
      numbers += arc.span;
      covered = cover(covered, arc, day(part));
    }
    assert.deepEqual([numbers, coverageOf(covered)], [RING, { share: 1, since: day(1) }], `of ${parts}`);
  }
});

const places: readonly {
  readonly name: string;
  readonly covered: readonly CoveredArc[];
  readonly from?: number;
}[] = [
  { name: "nothing was read", covered: [] },
  { name: "one part was read: behind it", covered: [{ from: 100, span: 50, at: day(1) }], from: 150 },
  {
    name: "two parts were read: the first hole that does not begin before the ring's end",
    covered: [
      { from: 0, span: 10, at: day(2) },
      { from: 20, span: 5, at: day(1) },
    ],
    from: 10,
  },
  {
    name: "all was read: what was read longest ago",
    covered: [
      { from: 0, span: 1000, at: day(3) },
      { from: 1000, span: 1000, at: day(1) },
      { from: 2000, span: RING - 2000, at: day(2) },
    ],
    from: 1000,
  },
  {
    name: "longest ago, across the ring's end",
    covered: [
      { from: 0, span: 1000, at: day(1) },
      { from: 1000, span: 1000, at: day(2) },
      { from: 2000, span: RING - 2000, at: day(1) },
    ],
    from: 2000,
  },
  { name: "all was read at once", covered: [{ ...WHOLE, at: day(1) }], from: 0 },
];
for (const { name, covered, from } of places) {
  test(`where to go on when ${name}`, () => assert.equal(oldestPlace(covered), from));
}

test("an arc reaches around the end, and as far as its share of the packs", () => {
  const packs = [at(5), at(RING - 5), at(RING / 2)];
  assert.deepEqual(nextArc(0.4, packs, RING - 10), { from: RING - 10, span: Math.ceil(0.4 * RING) });
  assert.deepEqual(nextArc(0.001, packs, RING - 10), { from: RING - 10, span: Math.ceil(0.001 * RING) });
  assert.deepEqual(nextArc(0.001, [at(RING / 2)], 0), { from: 0, span: RING / 2 + 1 });
  assert.deepEqual(nextArc(1, packs, 7), { from: 7, span: RING });
  const arc = nextArc(1e-9, [at(5)], RING - 10);
  assert.deepEqual(
    [arc.span, isOn(arc, at(5)), isOn(arc, at(6)), isOn(arc, at(RING - 11))],
    [16, true, false, false],
  );
});
