import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { zstdCompressSync } from "node:zlib";
import { Evidence } from "../../../src/drill/evidence.ts";
import { lacking, readLines } from "../../../src/guided/journal/journal-lines.ts";
import { FINDING_NAMESPACE, signerFromText } from "../../../src/seal/sshsig.ts";
import { decodeDocument, encodeDocument } from "../../../src/snapshot/canonical-json.ts";
import { readCondemned } from "../../../src/snapshot/condemned.ts";
import { isSafePath } from "../../../src/snapshot/entry.ts";
import { decodeEntry, encodeEntry } from "../../../src/snapshot/entry-line.ts";
import { readProofs } from "../../../src/snapshot/finding.ts";
import { decodeList, encodeList } from "../../../src/snapshot/list.ts";
import { openManifest } from "../../../src/snapshot/manifest-reader.ts";
import { readNotes } from "../../../src/snapshot/pin.ts";
import { decodeRecord, encodeRecord } from "../../../src/snapshot/record.ts";
import { readRepository } from "../../../src/snapshot/repository.ts";
import { trustOf } from "../../../src/trust/trust.ts";
import { VerifyEvidence } from "../../../src/verify/evidence.ts";
import * as golden from "../../support/golden-repository.ts";
import { openMemoryStore } from "../../support/memory-store.ts";
import { sampleEvidence } from "../../support/sample-evidence.ts";
import { sampleVerifyEvidence } from "../../support/sample-verify-evidence.ts";
import type { FuzzTarget } from "../fuzz-target.ts";
import { NEVER } from "../inputs.ts";

const HOW = { signal: NEVER };
const DEEP = "[".repeat(20_000) + "]".repeat(20_000);
const JSON_WORDS = [
  '"__proto__": 1,',
  '"constructor": {',
  "null",
  "-0",
  "1e400",
  '"\\ud800"',
  "\\u0000",
  "\\u001b",
  DEEP,
];
const place = { repository: golden.REPOSITORY.id, policy: golden.POLICY };
const TRUST = trustOf(undefined, { signers: [golden.SIGNER] });
const signer = signerFromText(golden.SIGNING_KEY, "the golden key");

/** A document whose bytes are its value: what is accepted is written back as it was. */
function document(name: string, seeds: readonly unknown[], decode: (bytes: Buffer) => unknown): FuzzTarget {
  return {
    name,
    mayThrow: ["data/damaged", "format/unsupported"],
    seeds: () => seeds.map(encodeDocument),
    words: JSON_WORDS,
    run(bytes) {
      const value = decode(bytes);
      assert.deepEqual(decode(encodeDocument(value)), value);
      return bytes.length;
    },
  };
}

const RECORD = document("record", [golden.RECORD], (bytes) => {
  const record = decodeRecord(bytes, golden.RECORD_KEY);
  assert.deepEqual(decodeRecord(encodeRecord(record), golden.RECORD_KEY), record);
  return record;
});
const EVIDENCE = document("evidence", [sampleEvidence()], (bytes) =>
  decodeDocument(bytes, Evidence, "evidence"),
);
const VERIFY = document("verify-evidence", [sampleVerifyEvidence()], (bytes) =>
  decodeDocument(bytes, VerifyEvidence, "evidence"),
);

/** A document that is read out of a store, where something else may lie under its name. */
function stored(
  name: string,
  seeds: readonly unknown[],
  key: string,
  read: (store: ReturnType<typeof openMemoryStore>) => Promise<number>,
): FuzzTarget {
  return {
    name,
    mayThrow: ["data/damaged", "format/unsupported"],
    seeds: () => seeds.map(encodeDocument),
    words: JSON_WORDS,
    async run(bytes) {
      const store = openMemoryStore(() => new Date("2026-11-23T02:30:00Z"));
      await store.put(key, bytes, HOW);
      await store.put(`${key}.sig`, signer.sign(FINDING_NAMESPACE, bytes), HOW);
      return read(store);
    },
  };
}

const REPOSITORY = stored("repository", [golden.REPOSITORY], "repository.json", async (store) => {
  const { id } = await readRepository(store, undefined, HOW);
  return id.length;
});
const format = { format: 1, ...place } as const;
const at = "2026-11-23T02:30:00.000Z";
const mark = { drops: "condemned", ...format, at, objects: [{ kind: "pack", name: "0".repeat(64) }] };
const MARKS = stored(
  "condemned",
  [mark],
  `${golden.POLICY}/condemned/20261123T023000Z-0123456789abcdef.json`,
  (store) => readCondemned(store, golden.POLICY, HOW).then((names) => [...names].join("").length),
);
const note = { drops: "pin", ...format, snapshot: golden.RECORD.id, at, why: "before the upgrade" };
const NOTES = stored("note", [note], `${golden.POLICY}/pins/${golden.RECORD.id}.json`, async (store) => {
  const { notes, unreadable } = await readNotes(store, place, "pin", TRUST, HOW);
  assert.equal(notes.length + unreadable.length, 1, "whatever lies there is a note or shown as unreadable");
  return notes.length;
});
const finding = {
  ...{ drops: "doctor", ...format, id: "0123456789abcdef", at, tool: "drops" },
  destroy: { answer: "no", found: ["it was refused"] },
  recovery: { recipients: ["age1"], snapshot: golden.RECORD.id },
};
const FINDING = stored(
  "finding",
  [finding],
  `${golden.POLICY}/doctor/20261123T023000Z-0123456789abcdef.json`,
  async (store) => {
    const { destroy, recovery, refused } = await readProofs(store, place, TRUST, HOW);
    assert.ok(destroy !== undefined || recovery !== undefined || refused.length < 2);
    return refused.join("").length;
  },
);

const ENTRY: FuzzTarget = {
  name: "entry",
  mayThrow: ["data/damaged"],
  seeds: () => golden.ENTRIES.map((entry) => Buffer.from(encodeEntry(entry, (pack) => pack).slice(0, -1))),
  words: [...JSON_WORDS, '"path_b64":"Li4vLi4="', '"target":"/etc"', '"size":"0"', '"xattrs":{"a":""},'],
  run(bytes) {
    const decode = (text: string) =>
      decodeEntry(text, (index) => (index < 3 ? index : undefined), "an entry");
    const entry = decode(bytes.toString());
    assert.ok(isSafePath(entry.path), "no path leaves its directory");
    assert.deepEqual(decode(encodeEntry(entry, (pack) => pack).slice(0, -1)), entry);
    return bytes.length;
  },
};

const MANIFEST: FuzzTarget = {
  name: "manifest",
  mayThrow: ["data/damaged"],
  seeds: () => {
    const lines = golden.ENTRIES.map((entry) => encodeEntry(entry, (pack) => pack)).join("");
    return [ended(Buffer.from(`${JSON.stringify(golden.HEAD)}\n${lines}`))];
  },
  words: [...JSON_WORDS, '{"end":true,"entries":0,"sha256":"', "\n"],
  mend: (bytes) =>
    ended(bytes.subarray(0, bytes.lastIndexOf('{"end":') < 0 ? bytes.length : bytes.lastIndexOf('{"end":'))),
  async run(bytes) {
    const manifest = await openManifest(
      zstdCompressSync(bytes),
      (index) => (index < 3 ? index : undefined),
      "m",
      HOW,
    );
    let made = 0;
    for await (const { path, chunks } of manifest.entries) made += path.length + 100 * chunks.length;
    assert.match(manifest.digest() ?? "", /^[0-9a-f]{64}$/);
    return made + 200;
  },
};

/** With the last line that its entries ask for. */
function ended(lines: Buffer): Buffer {
  const from = lines.indexOf("\n") + 1;
  const entries = lines.subarray(from).filter((byte) => byte === 0x0a).length;
  const sha256 = createHash("sha256").update(lines.subarray(from)).digest("hex");
  return Buffer.concat([lines, Buffer.from(`${JSON.stringify({ end: true, entries, sha256 })}\n`)]);
}

const MANIFEST_FRAME: FuzzTarget = {
  name: "manifest-frame",
  mayThrow: ["data/damaged"],
  seeds: async () => [zstdCompressSync((await MANIFEST.seeds())[0] as Buffer)],
  async run(bytes) {
    const manifest = await openManifest(bytes, (index) => index, "m", HOW);
    let made = 0;
    for await (const { path } of manifest.entries) made += path.length;
    return made;
  },
  most: (size) => 128 * 1024 * 1024 + 64 * size,
};

const LIST: FuzzTarget = {
  name: "list",
  mayThrow: ["data/damaged"],
  seeds: () => [
    readFileSync(`${golden.DIRECTORY}${golden.POLICY}/lists/${golden.LIST.sha256}`),
    encodeList([]),
  ],
  run(bytes) {
    const packs = decodeList(bytes, "l");
    assert.ok(encodeList(packs).equals(bytes), "a list is read only as it is written");
    return 150 * packs.length;
  },
};

const JOURNAL: FuzzTarget = {
  name: "journal",
  mayThrow: [],
  seeds: () => {
    const lines = [0, 1, 4].map((n) => ({ n, at, event: "created", more: { deep: [n] } }));
    return [Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join(""))];
  },
  words: [...JSON_WORDS, `{"n":9007199254740991,"at":"${at}","event":"x","more":${DEEP}}\n`],
  run(bytes) {
    const { lines, notes } = readLines(bytes.toString(), "a journal");
    assert.equal(lacking(lines, lines).length, 0);
    return lines.reduce((sum, line) => sum + JSON.stringify(line).length, notes.join("").length);
  },
};

export const DOCUMENT_TARGETS: readonly FuzzTarget[] = [
  ...[RECORD, EVIDENCE, VERIFY, REPOSITORY, MARKS, NOTES, FINDING],
  ...[ENTRY, MANIFEST, MANIFEST_FRAME, LIST, JOURNAL],
];
