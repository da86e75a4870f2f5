import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import fc from "fast-check";
import type { Host } from "../../src/host/host.ts";
import { openLocalHost } from "../../src/host/local.ts";
import { DropsError, isFailure } from "../../src/lib/errors.ts";
import { alteredHost } from "../support/altered-host.ts";
import { type PathCase, type PathRow, pathCase } from "../support/path-cases.ts";
import { ROWS } from "./path-rows.ts";

const how = { signal: new AbortController().signal };
const local = await openLocalHost();
after(() => local[Symbol.asyncDispose]());

// The host's script dies before its n-th command. Whoever comes next goes on, or takes it back.
/**
 * It is killed at every n-th command, beginning at another one in every row: together they reach more commands than one row does.
 * At all of them when asked for, which takes an hour.
 */
const strideOf = (verb: string, row: PathRow): number => {
  if (process.env["DROPS_EVERY_KILL"]) return 1;
  const isMoving = verb === "swap" || verb === "unswap";
  if (row.name.endsWith("what its source excludes")) return isMoving ? 59 : 37; // they have many more
  return isMoving ? 9 : 19;
};
const firstOf = (verb: string, row: PathRow): number =>
  1 + ((MOVED.indexOf(row.name) * 2) % strideOf(verb, row));
const MOVED = [
  "a directory",
  "a path that was not there, nor what holds it",
  "a mount point",
  "a directory with what its source excludes",
  "a mount point with what its source excludes",
];

for (const row of ROWS.filter(({ name }) => MOVED.includes(name))) {
  describe(`${row.name}, killed at every command`, { timeout: 3_600_000 }, () => {
    test("of preparing, noting and completing", async () => {
      await using its = await pathCase(row, { host: local });
      const old = await its.look();
      for (const verb of ["note", "begin", "whole"]) {
        await atEveryCommand(row, verb, async (host, command) => {
          const ended = await killed(its.openOn(host).stage(how));
          // on a mount point the making of the run's directory is seen until somebody looks after it
          if (row.after !== undefined) await its.open().unswap(how);
          assert.deepEqual(await its.look(), old, `${verb} before command ${command}`);
          if (command % 4 < 2) {
            await its.open().stage(how);
            assert.deepEqual(await its.open().check(how), []);
            assert.equal(await its.open().state(how), "staged");
          }
          await untouched(its, old);
          return ended;
        });
      }
    });

    test("of swapping and putting back", async () => {
      await using its = await pathCase(row, { host: local });
      const old = await its.look();
      await its.open().stage(how);
      await atEveryCommand(row, "swap", async (host, command) => {
        const ended = await killed(its.openOn(host).swap(how));
        if (command % 4 < 2) await forward(its);
        if (command % 7 === 0)
          await its.open().stage(how); // nothing is left half swapped by it
        else await its.open().unswap(how);
        if ((await its.open().state(how)) === "swapped") await its.open().unswap(how);
        assert.deepEqual(await its.look(), old, `swap before command ${command}`);
        return ended;
      });
      assert.deepEqual(await its.open().check(how), []);
      await atEveryCommand(row, "unswap", async (host, command) => {
        await its.open().swap(how);
        const ended = await killed(its.openOn(host).unswap(how));
        if (command % 4 < 2) await forward(its);
        await its.open().unswap(how);
        assert.deepEqual(await its.look(), old, `unswap before command ${command}`);
        return ended;
      });
      assert.deepEqual(await its.open().check(how), []);
      await untouched(its, old);
    });

    test("of discarding, half swapped, and of finishing", async () => {
      await using its = await pathCase(row, { host: local });
      const old = await its.look();
      await atEveryCommand(row, "discard", async (host, command) => {
        await its.open().stage(how);
        await killed(its.openOn(dying("swap", 55, local)).swap(how));
        if ((await its.open().state(how)) === "swapped") await its.open().unswap(how);
        const ended = await killed(its.openOn(host).discard(how));
        if (command % 4 < 2) await its.open().stage(how);
        await untouched(its, old);
        return ended;
      });
      await atEveryCommand(row, "finish", async (host) => {
        await using one = await pathCase(row, { host: local });
        await one.open().stage(how);
        await one.open().swap(how);
        const ended = await killed(one.openOn(host).finish(how));
        if (row.after === undefined) await one.assertNew();
        await one.open().finish(how);
        assert.equal(await one.open().state(how), "finished");
        await one.assertNew();
        assert.deepEqual(await one.leftOvers(), []);
        return ended;
      });
    });
  });
}

describe("verbs in any order, some of them killed", { timeout: 3_600_000 }, () => {
  const verb = fc.constantFrom("stage", "swap", "unswap", "discard");
  const steps = fc.array(fc.record({ verb, kill: fc.option(fc.integer({ min: 1, max: 45 })) }), {
    minLength: 4,
    maxLength: 7,
  });
  for (const row of ROWS.filter(({ name }) => MOVED.includes(name))) {
    test(`${row.name}: whenever one returns, the old or the new is in place, whole`, async () => {
      await using its = await pathCase(row, { host: local });
      const old = await its.look();
      const once = async (sequence: { verb: Verb; kill: number | null }[]) => {
        for (const each of [{ verb: "stage" as const, kill: null }, ...sequence]) await step(its, old, each);
        await its.open().unswap(how);
        await untouched(its, old);
      };
      await fc.assert(fc.asyncProperty(steps, once), { numRuns: 8, endOnFailure: true });
    });
  }
});

type Verb = "stage" | "swap" | "unswap" | "discard";
const SCRIPT_OF: Readonly<Record<Verb, string>> = {
  stage: "begin",
  swap: "swap",
  unswap: "unswap",
  discard: "discard",
};

async function step(
  its: PathCase,
  old: unknown,
  { verb, kill }: { verb: Verb; kill: number | null },
): Promise<void> {
  const host = kill === null ? local : dying(SCRIPT_OF[verb], kill, local);
  const outcome = await its
    .openOn(host)
    [verb](how)
    .then(
      () => "returned",
      (error: unknown) => (isFailure(error, "safety/refused", "host/command-failed") ? "not" : error),
    );
  if (outcome === "not") return;
  assert.equal(outcome, "returned");
  if ((await its.open().state(how)) === "swapped") await its.assertNew();
  else assert.deepEqual(await its.look(), old);
}

async function forward(its: PathCase): Promise<void> {
  await its.open().swap(how);
  assert.equal(await its.open().state(how), "swapped");
  await its.assertNew();
}

async function untouched(its: PathCase, old: unknown): Promise<void> {
  await its.open().discard(how);
  assert.equal(await its.open().state(how), "untouched");
  assert.deepEqual(await its.look(), old);
  assert.deepEqual(await its.leftOvers(), []);
}

/** Until it was not killed any more, since it has no n-th command. */
async function atEveryCommand(
  row: PathRow,
  verb: string,
  once: (host: Host, command: number) => Promise<boolean>,
): Promise<void> {
  const stride = strideOf(verb, row);
  let command = firstOf(verb, row);
  while (await once(dying(verb, command, local), command)) command += stride;
  assert.ok(command > firstOf(verb, row), `${verb} has ${command} commands`);
}

/** Whether it was killed. */
async function killed(verb: Promise<unknown>): Promise<boolean> {
  try {
    await verb;
    return false;
  } catch (error) {
    assert.ok(error instanceof DropsError && /SIGKILL/.test(error.message), String(error));
    return true;
  }
}

/** A host whose script dies, with what it has started, before its n-th command of a verb. bash stands in for sh. */
function dying(verb: string, command: number, host: Host): Host {
  const before = `drops_left=${command}; set -T; trap '[ "$BASH_SUBSHELL" != 0 ] || ((--drops_left)) || kill -KILL 0' DEBUG\n`;
  return alteredHost(host, (argv) => {
    const [sh, flag, script, name, asked, ...rest] = argv;
    if (name !== "drops-paths" || asked !== verb) return argv;
    return ["bash", flag ?? "", `${before}${script}`, sh ?? "", asked, ...rest];
  });
}
