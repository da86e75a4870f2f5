import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { DropsError } from "../../src/lib/errors.ts";
import { newSigningKey } from "../../src/seal/keygen.ts";
import { EVIDENCE_NAMESPACE, signerFromText } from "../../src/seal/sshsig.ts";
import { encodeDocument } from "../../src/snapshot/canonical-json.ts";
import { putEvidence, type ReadNamed, readNamed, readStored } from "../../src/snapshot/evidence-store.ts";
import { signatureKey } from "../../src/store/keys.ts";
import { trustOf } from "../../src/trust/trust.ts";
import { unreachable } from "../support/gone-since.ts";
import { openMemoryStore } from "../support/memory-store.ts";

const HOW = { signal: new AbortController().signal };
const PLACE = { repository: "a".repeat(32), policy: "ops" };
const ID = "1".repeat(16);
const signer = signerFromText(newSigningKey("own").privateKey, "own");
const trust = trustOf(undefined, { signers: [signer.publicKey] });
const kind = {
  claim: "drill",
  name: /^(\d{8}T\d{6}Z)-([0-9a-f]{16})\.json$/,
  schema: z.object({ repository: z.string(), policy: z.string(), id: z.string(), ended: z.string() }),
} as const;
const evidence = { ...PLACE, id: ID, ended: "2026-11-24T12:00:00Z" };
const NAME = `20261124T120000Z-${ID}.json`;

/** Names and bytes as they lie in a directory or a repository. */
function lying(change: object = {}, name = NAME): Map<string, Uint8Array> {
  const bytes = encodeDocument({ ...evidence, ...change });
  return new Map([
    [name, bytes],
    [signatureKey(name), signer.sign(EVIDENCE_NAMESPACE, bytes)],
  ]);
}

/** What is read of it, in a word or two. */
async function read(files: ReadonlyMap<string, Uint8Array>, fail?: (name: string) => unknown) {
  const reader: ReadNamed = async (name) => {
    const error = fail?.(name);
    if (error !== undefined) throw error;
    const bytes = files.get(name);
    if (bytes) return bytes;
    throw Object.assign(new Error("no such file"), { code: "ENOENT" });
  };
  const found = await readNamed([...files.keys(), "README"], reader, kind, PLACE, trust, {
    signal: new AbortController().signal,
    most: 10,
  });
  return found.map(({ refused }) => refused?.replace(`${NAME} `, "") ?? "believed");
}

const places: readonly { name: string; files: ReadonlyMap<string, Uint8Array>; says: readonly string[] }[] = [
  { name: "of this policy", files: lying(), says: ["believed"] },
  { name: "of another repository", files: lying({ repository: "b".repeat(32) }), says: [] },
  { name: "of another policy", files: lying({ policy: "other" }), says: [] },
  { name: "of another id", files: lying({ id: "2".repeat(16) }), says: ["is evidence of another drill"] },
  {
    name: "of another time",
    files: lying({ ended: "2026-11-24T12:00:01Z" }),
    says: ["is evidence of another drill"],
  },
  { name: "without a signature", files: new Map([...lying()].slice(0, 1)), says: ["is not signed"] },
];
for (const { name, files, says } of places) {
  test(`evidence ${name}: ${says[0] ?? "is left out"}`, async () =>
    assert.deepEqual(await read(files), says));
}

const denied = Object.assign(new Error("permission denied"), { code: "EACCES" });
const failures: readonly {
  name: string;
  error: unknown;
  first: RegExp | "thrown";
  second: RegExp | "thrown";
}[] = [
  {
    name: "is missing",
    error: new DropsError("store/missing", "gone"),
    first: /^gone$/,
    second: /^is not signed$/,
  },
  {
    name: "is too large",
    error: new DropsError("data/damaged", "too large"),
    first: /^too large$/,
    second: /^is not signed$/,
  },
  {
    name: "may not be read",
    error: denied,
    first: /^cannot be read: EACCES$/,
    second: /^cannot be read: EACCES$/,
  },
  {
    name: "is unreachable",
    error: new DropsError("store/unavailable", "cut"),
    first: "thrown",
    second: "thrown",
  },
  {
    name: "meets a bug",
    error: new TypeError("undefined is no function"),
    first: "thrown",
    second: "thrown",
  },
  { name: "meets what is no error", error: "a text", first: "thrown", second: "thrown" },
];
for (const { name, error, ...outcomes } of failures) {
  for (const [which, outcome] of Object.entries(outcomes)) {
    const isSignature = which === "second";
    test(`evidence whose ${isSignature ? "signature" : "document"} ${name}`, async () => {
      const says = read(lying(), (asked) => (asked.endsWith(".sig") === isSignature ? error : undefined));
      if (outcome === "thrown") return assert.rejects(says, (thrown) => thrown === error);
      assert.match((await says)[0] ?? "", outcome);
    });
  }
}

test("evidence is put once: what is there already stays, a failure of the store is told", async () => {
  const store = openMemoryStore();
  const key = `ops/evidence/${NAME}`;
  const put = (into = store, change: object = {}) =>
    putEvidence(into, key, encodeDocument({ ...evidence, ...change }), signer, HOW);
  await assert.rejects(put(unreachable(store, /json$/)), { code: "store/unavailable" });
  await put();
  await put(store, { id: "2".repeat(16) });
  const [one] = await readStored(store, kind, PLACE, trust, { ...HOW, most: 10 });
  assert.equal(one?.refused === undefined && one?.evidence.id, ID);
});
