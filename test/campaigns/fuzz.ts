import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { fuzzParsers, joined } from "../fuzz/fuzz-parsers.ts";
import type { FuzzFault, FuzzOutcome } from "../fuzz/fuzz-worker.ts";
import { inputOf } from "../fuzz/mutate.ts";
import { TARGETS, targetOf } from "../fuzz/targets.ts";

/**
 * Hostile input for every parser of foreign bytes:
 *   sh scripts/node test/campaigns/fuzz.ts --minutes 10
 *   sh scripts/node test/campaigns/fuzz.ts --parser tar --seed 4711   (one input again)
 * Exits with 1 when a parser crashed, hung, was slow, or grew beyond measure; the inputs that did it are kept.
 */
const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "1" },
    parser: { type: "string" },
    /** This input alone. */
    seed: { type: "string" },
    /** The first seed of a whole campaign: another one gives other inputs. */
    from: { type: "string", default: "1" },
  },
});

/** Each parser has its turn several times, so that a campaign that is broken off has tried all of them. */
const ROUNDS = 4;
const targets = values.parser === undefined ? TARGETS : [targetOf(values.parser)];
const outcomes = new Map<string, FuzzOutcome>();
let kept: string | undefined;

if (values.seed !== undefined) {
  if (values.parser === undefined) throw new Error("--seed goes with --parser");
  await tryOn(values.parser, { from: Number(values.seed), count: 1, forMs: Number.POSITIVE_INFINITY });
} else {
  const forMs = (Number(values.minutes) * 60_000) / targets.length / ROUNDS;
  for (let round = 0; round < ROUNDS; round++) {
    for (const { name } of targets) {
      const from = outcomes.get(name)?.next ?? Number(values.from);
      await tryOn(name, { from, count: Number.MAX_SAFE_INTEGER, forMs });
    }
  }
}
process.exitCode = report();

async function tryOn(name: string, how: { from: number; count: number; forMs: number }): Promise<void> {
  for (const outcome of await fuzzParsers({ targets: [name], ...how })) {
    for (const fault of outcome.faults) await keep(name, fault);
    const before = outcomes.get(name);
    outcomes.set(name, before === undefined ? outcome : joined(before, outcome));
  }
}

async function keep(name: string, { kind, seed, what }: FuzzFault): Promise<void> {
  kept ??= mkdtempSync(join(tmpdir(), "drops-fuzz-"));
  const target = targetOf(name);
  const file = join(kept, `${name}-${seed}`);
  writeFileSync(file, inputOf(target, await target.seeds(), seed));
  console.log(`${kind.toUpperCase()} --parser ${name} --seed ${seed}, input in ${file}`);
  console.log(what.split("\n").slice(0, 8).join("\n"));
}

function report(): number {
  const row = (cells: readonly (string | number)[]) =>
    console.log(
      cells.map((cell, at) => (at === 0 ? String(cell).padEnd(20) : String(cell).padStart(12))).join(""),
    );
  row(["parser", "executions", "accepted", "faults", "slowest ms", "its bytes", "its seed"]);
  for (const [name, { executions, accepted, faults, slowest }] of outcomes)
    row([name, executions, accepted, faults.length, slowest.ms.toFixed(1), slowest.size, slowest.seed]);
  const all = [...outcomes.values()];
  const sum = (of: (outcome: FuzzOutcome) => number) => all.reduce((total, one) => total + of(one), 0);
  const count = (...kinds: FuzzFault["kind"][]) =>
    sum(({ faults }) => faults.filter(({ kind }) => kinds.includes(kind)).length);
  const slowest = Math.max(...all.map((one) => one.slowest.ms));
  console.log(
    `executions ${sum((one) => one.executions)}, crashes ${count("crash")}, hangs ${count("hang", "slow")}, ` +
      `memory ${count("growth", "memory")}, slowest input ${slowest.toFixed(1)} ms`,
  );
  return sum((one) => one.faults.length) === 0 ? 0 : 1;
}
