import { setImmediate as turn } from "node:timers/promises";

/** How long a loop may go on before signals, timers and connections get their turn. Milliseconds. */
const BREATH_MS = 20;

/** How many small things, entries or lines, are done between two looks at the clock. */
const SMALL_THINGS = 256;

let since = 0;

/**
 * For loops that may be long and that nothing outside makes wait: lets everything else that is due have its turn when the
 * last breath is more than 20 ms ago. Called after every piece of work that takes up to a few milliseconds.
 */
export async function breathe(): Promise<void> {
  if (!isBreathDue()) return;
  await turn();
  since = performance.now();
}

/** Whether `breathe` would do anything, for where even to await it is much. */
export function isBreathDue(): boolean {
  return performance.now() - since >= BREATH_MS;
}

/** Whether the clock is worth a look, in a loop over very small things that counts them. */
export function mayBreathe(count: number): boolean {
  return count % SMALL_THINGS === 0;
}

/** As `order.sort(compare)`, which is stable, with breaths. */
export async function sortWithBreaths(
  order: Uint32Array<ArrayBuffer>,
  compare: (a: number, b: number) => number,
): Promise<Uint32Array<ArrayBuffer>> {
  const run = 4096;
  for (let start = 0; start < order.length; start += run) {
    order.subarray(start, start + run).sort(compare);
    await breathe();
  }
  let from = order;
  let to = new Uint32Array(order.length);
  for (let width = run; width < order.length; width *= 2) {
    for (let start = 0; start < order.length; start += 2 * width)
      await merge({ from, to, start, middle: start + width, end: start + 2 * width }, compare);
    [from, to] = [to, from];
  }
  return from;
}

async function merge(
  { from, to, ...at }: { from: Uint32Array; to: Uint32Array; start: number; middle: number; end: number },
  compare: (a: number, b: number) => number,
): Promise<void> {
  const middle = Math.min(at.middle, from.length);
  const end = Math.min(at.end, from.length);
  let left = at.start;
  let right = middle;
  for (let into = at.start; into < end; into++) {
    const isLeft =
      right === end || (left < middle && compare(from[left] as number, from[right] as number) <= 0);
    to[into] = from[isLeft ? left++ : right++] as number;
    if (mayBreathe(into)) await breathe();
  }
}
