import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { FramedOutput } from "../../src/source/postgres/framed-output.ts";
import { RowDigest } from "../../src/source/postgres/row-digest.ts";

const FRAME = "drops-frame";

async function* inPieces(text: string, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text);
  for (let at = 0, nr = 0; at < bytes.length; nr++) {
    const size = sizes[nr % sizes.length] ?? 1;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

test("lines and rows come out as they went in, however the output is cut into pieces", async () => {
  const line = fc.oneof(fc.string({ maxLength: 40 }), fc.constantFrom(FRAME.slice(1), `${FRAME} `, "", " "));
  const answer = fc.array(
    line.map((text) => text.replaceAll("\n", "")),
    { maxLength: 8 },
  );
  await fc.assert(
    fc.asyncProperty(
      answer,
      answer,
      fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }),
      async (one, other, sizes) => {
        const text = [...one, FRAME, ...other, FRAME, ...other].map((each) => `${each}\n`).join("");
        const output = new FramedOutput(inPieces(text, sizes), FRAME);
        assert.deepEqual(await output.lines(), one);
        const [cut, whole] = [new RowDigest(), new RowDigest()];
        assert.equal(await output.rows((bytes, isLast) => cut.add(bytes, isLast)), true);
        for (const each of other) whole.add(Buffer.from(each), true);
        assert.deepEqual([cut.rows, cut.digest], [String(other.length), whole.digest]);
        assert.equal(await output.lines(), undefined, "it ended before the frame");
      },
    ),
  );
});
