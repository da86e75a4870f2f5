/** The age test kit, whole: every file of it is opened, and none that the kit calls bad gives up a byte. */
import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { test } from "node:test";
import { type FailureCode, isFailure } from "../../src/lib/errors.ts";
import { open, openKey, sealedSize, sealInto } from "../../src/seal/age-stream.ts";
import { type AgeVector, ageVectors } from "../support/age-vectors.ts";

const vectors = await ageVectors();

test("the kit is the whole kit", () => {
  assert.equal(vectors.length, 143);
  const ours = vectors.filter((vector) => !vector.isArmored && !vector.usesPassphrase);
  assert.equal(ours.length, 85);
  assert.equal(ours.filter((vector) => vector.expect === "success").length, 18);
});

/** What drops must answer; undefined where it must open the file. */
function wanted(vector: AgeVector): readonly FailureCode[] | undefined {
  if (vector.isArmored) return ["data/damaged"]; // drops never armors, so it reads no armor
  if (vector.usesPassphrase) return ["key/wrong", "data/damaged"]; // nor does it use passphrases
  if (vector.expect === "no match") return ["key/wrong"];
  return vector.expect === "success" ? undefined : ["data/damaged"];
}

for (const vector of vectors) {
  test(`${vector.name}: ${vector.expect}`, async () => {
    const codes = wanted(vector);
    if (codes === undefined) {
      assert.equal(hash("sha256", await open(vector.identities, vector.file)), vector.payload);
      return;
    }
    await assert.rejects(open(vector.identities, vector.file), (error) => {
      assert.ok(isFailure(error, ...codes), `${error}`);
      return true;
    });
  });
}

for (const vector of vectors.filter((one) => wanted(one) === undefined)) {
  test(`${vector.name}: what is sealed again with its header opens again`, async () => {
    const plain = await open(vector.identities, vector.file);
    const { fileKey, payloadOffset } = await openKey(vector.identities, vector.file);
    assert.equal(Buffer.from(fileKey).toString("hex"), vector.fileKey);
    const key = { header: vector.file.subarray(0, payloadOffset), fileKey };
    const again = Buffer.alloc(sealedSize(key, plain.length));
    assert.equal(again.length, vector.file.length);
    assert.equal(sealInto(key, plain, again), again.length);
    assert.deepEqual(await open(vector.identities, again), plain);
  });
}

for (const vector of vectors.filter((one) => one.expect === "payload failure" && !one.isArmored)) {
  test(`${vector.name}: the header is good, so it is the payload that is refused`, async () => {
    const key = await openKey(vector.identities, vector.file);
    assert.equal(Buffer.from(key.fileKey).toString("hex"), vector.fileKey);
  });
}
