import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Replacement } from "../../src/guided/run/replacement.ts";
import { isFailure } from "../../src/lib/errors.ts";

/** Something in place on a host that is replaced by what a snapshot holds. */
export interface ReplacementCase extends AsyncDisposable {
  /** Another one each time, as another machine would open it. */
  open(): Replacement;
  /** What is in place, with what tells it from a copy of it (inode, object id); undefined when nothing is. */
  look(): Promise<unknown>;
  /** Throws unless what is in place is what was captured. */
  assertNew(): Promise<void>;
  /** What lies beside it that a restore made: names. */
  leftOvers(): Promise<readonly string[]>;
  /** Change something of what is staged, or in place once it is swapped. */
  spoil(): Promise<void>;
}

const how = { signal: new AbortController().signal };

/** What every replacement promises, held against one kind of thing that is replaced. */
export function replacementContract(name: string, make: () => Promise<ReplacementCase>): void {
  describe(`${name} keeps the replacement contract`, () => {
    test("stage, swap, unswap, swap, finish: each does its work, and nothing when it is done", async () => {
      await using its = await make();
      const before = await its.look();
      const twice = async (verb: (replacement: Replacement) => Promise<unknown>, state: string) => {
        for (const _ of [1, 2]) {
          await verb(its.open());
          assert.equal(await its.open().state(how), state);
        }
      };
      assert.equal(await its.open().state(how), "untouched");
      const staged: unknown[] = [];
      await twice(async (one) => staged.push(await one.stage(how)), "staged");
      assert.deepEqual(staged[1], staged[0]);
      assert.deepEqual(await its.look(), before);
      assert.deepEqual(await its.open().check(how), []);
      await twice((one) => one.swap(how), "swapped");
      await its.assertNew();
      assert.deepEqual(await its.open().check(how), []);
      await twice((one) => one.stage(how), "swapped");
      await twice((one) => one.unswap(how), "staged");
      assert.deepEqual(await its.look(), before);
      assert.deepEqual(await its.open().check(how), []);
      await twice((one) => one.swap(how), "swapped");
      await its.assertNew();
      assert.deepEqual(await its.open().onlyInOld(how), []);
      await twice((one) => one.finish(how), "finished");
      await its.assertNew();
      assert.deepEqual(await its.leftOvers(), []);
      await twice((one) => one.swap(how), "finished");
    });

    test("discard leaves everything as it was, from every state in which the old is in place", async () => {
      await using its = await make();
      const before = await its.look();
      await its.open().discard(how);
      assert.equal(await its.open().state(how), "untouched");
      for (const swapped of [false, true]) {
        await its.open().stage(how);
        if (swapped) {
          await its.open().swap(how);
          await its.open().unswap(how);
        }
        for (const _ of [1, 2]) {
          await its.open().discard(how);
          assert.equal(await its.open().state(how), "untouched");
        }
        assert.deepEqual(await its.look(), before);
        assert.deepEqual(await its.leftOvers(), []);
      }
    });

    test("what would lose something is refused", async () => {
      await using its = await make();
      const refused = (error: unknown) => isFailure(error, "safety/refused");
      await assert.rejects(its.open().swap(how), refused);
      await assert.rejects(its.open().finish(how), refused);
      await its.open().stage(how);
      await assert.rejects(its.open().finish(how), refused);
      await its.open().swap(how);
      await assert.rejects(its.open().discard(how), refused);
      await its.assertNew();
      await its.open().finish(how);
      await assert.rejects(its.open().unswap(how), refused);
      await assert.rejects(its.open().discard(how), refused);
      await its.assertNew();
    });

    test("a staging that is broken off is begun anew, or taken away", async () => {
      for (const goOn of [true, false]) {
        await using its = await make();
        const before = await its.look();
        const stop = new AbortController();
        const reason = new Error("broken off");
        const broken = its.open().stage({ signal: stop.signal, onBytes: () => stop.abort(reason) });
        await assert.rejects(broken, (error) => error === reason);
        assert.equal(await its.open().state(how), "staging");
        assert.deepEqual(await its.look(), before);
        await assert.rejects(its.open().swap(how), (error) => isFailure(error, "safety/refused"));
        if (goOn) {
          await its.open().stage(how);
          assert.deepEqual(await its.open().check(how), []);
          await its.open().swap(how);
          await its.assertNew();
        } else {
          await its.open().discard(how);
          assert.equal(await its.open().state(how), "untouched");
          assert.deepEqual(await its.look(), before);
          assert.deepEqual(await its.leftOvers(), []);
        }
      }
    });

    test("a difference is told, beside the old and in place", async () => {
      for (const inPlace of [false, true]) {
        await using its = await make();
        await its.open().stage(how);
        if (inPlace) await its.open().swap(how);
        await its.spoil();
        assert.notDeepEqual(await its.open().check(how), []);
      }
    });
  });
}
