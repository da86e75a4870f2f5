/** drops believes a signature and what follows from it, and nothing else: what a bucket, or whoever writes to it, may try. */

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { RunResult } from "../../src/backup/snapshot-run.ts";
import { type FailureCode, isFailure } from "../../src/lib/errors.ts";
import type { PackInfo } from "../../src/pack/pack-table.ts";
import { openSource } from "../../src/restore/open-source.ts";
import { newSigningKey } from "../../src/seal/keygen.ts";
import {
  EVIDENCE_NAMESPACE,
  REPOSITORY_NAMESPACE,
  SNAPSHOT_NAMESPACE,
  signerFromText,
} from "../../src/seal/sshsig.ts";
import { readCatalog } from "../../src/snapshot/catalog.ts";
import type { SnapshotRecord } from "../../src/snapshot/record.ts";
import { readRepository } from "../../src/snapshot/repository.ts";
import type { BlobReader } from "../../src/store/blob-store.ts";
import { listKey, manifestKey, packKey } from "../../src/store/keys.ts";
import { trustOf } from "../../src/trust/trust.ts";
import { Objects } from "../support/altered-store.ts";
import { forgeSnapshot } from "../support/forgery.ts";
import { type Rehearsal, rehearse } from "../support/rehearsal.ts";
import { slotOf } from "../support/slot-of.ts";

const HOW = { signal: new AbortController().signal };
const SOURCES = `  - { name: one, kind: command, argv: [cat, "@DIR@/one"] }
  - { name: two, kind: command, argv: [cat, "@DIR@/two"] }
`;
const REPOSITORY = "repository.json";
const EXITS: Partial<Record<FailureCode, number>> = {
  "signature/untrusted": 13,
  "data/damaged": 20,
  "data/missing": 20,
};
const READ = "read" as const;

interface Attack {
  readonly name: string;
  readonly alter: (objects: Objects) => void;
  /** The record that is asked for, when it is not the newest. */
  readonly key?: () => string;
  /** What comes of it, and what when the operator trusts unsigned records. */
  readonly code: FailureCode;
  readonly unsigned: FailureCode | typeof READ;
  readonly says?: RegExp;
}

describe("authenticity", () => {
  let rehearsal: Rehearsal;
  let objects: Objects;
  let first: RunResult;
  let second: RunResult;
  const stranger = signerFromText(newSigningKey("a stranger").privateKey, "a stranger's key");

  before(async () => {
    rehearsal = await rehearse({ sources: SOURCES });
    const night = async (words: string) => {
      for (const name of ["one", "two"])
        await writeFile(join(rehearsal.directory, name), `${name}: ${words}`);
      return rehearsal.night();
    };
    first = await night("the first night");
    second = await night("the second night");
    objects = await Objects.of(rehearsal.store);
  });
  after(() => rehearsal[Symbol.asyncDispose]());

  /** Keys of what one source of a record refers to. */
  const keysOf = ({ record }: RunResult, source: string) => {
    const part = record.sources.find(({ name }) => name === source);
    assert.ok(part?.manifest && part.list);
    const list = listKey(record.policy, part.list.sha256);
    const packs = [
      ...objects
        .get(list)
        .toString()
        .matchAll(/^[0-9a-f]{64}/gm),
    ];
    const pack = packKey(record.policy, packs.at(-1)?.[0] ?? "");
    return { list, pack, manifest: manifestKey(record.policy, part.manifest.sha256) };
  };
  /** Sign what is there anew: the work of a stolen key, or of a bug. */
  const signAnew = (
    altered: Objects,
    key: string,
    namespace = SNAPSHOT_NAMESPACE,
    signer = rehearsal.signer,
  ) => altered.set(`${key}.sig`, signer.sign(namespace, altered.get(key)));
  const edit = (altered: Objects, key: string, from: string | RegExp, to: string) => {
    const text = altered.get(key).toString();
    assert.notEqual(text.replace(from, to), text, "the edit changes something");
    altered.set(key, Buffer.from(text.replace(from, to)));
  };
  const copyRecord = (altered: Objects, from: string, to: string) => {
    for (const end of ["", ".sig"]) altered.put(from + end, to + end);
  };
  const renamed = (key: string) => key.replace(/-[0-9a-f]{16}\.json$/, "-0123456789abcdef.json");
  const redated = (key: string) => key.replace(/\d{8}T\d{6}Z/, "20991231T235959Z");

  /** Read one snapshot to the last byte with the product's readers; its words, and who signed it. */
  const read = async (store: BlobReader, key: string, allowUnsigned: boolean) => {
    const trust = trustOf(undefined, { signers: [rehearsal.signer.publicKey], allowUnsigned });
    const repository = await readRepository(store, trust, HOW);
    const policy = key.slice(0, key.indexOf("/"));
    const { snapshots, unreadable } = await readCatalog(store, repository, policy, trust, HOW);
    for (const refused of unreadable) if (refused.key === key) throw refused.why;
    const found = snapshots.find((listed) => listed.key === key);
    assert.ok(found, `${key} is not even listed`);
    return { words: await wordsOf(store, found.record), signer: found.signer };
  };
  const wordsOf = async (store: BlobReader, record: SnapshotRecord): Promise<string[]> => {
    const words: string[] = [];
    for (const source of record.sources) {
      const { entries, packs } = await openSource(
        { store, identities: [rehearsal.recovery.identity] },
        record,
        source,
        HOW,
      );
      for await (const { chunks } of entries) {
        for (const { id, pack } of chunks)
          words.push(await readChunk(store, record.policy, id, packs.get(pack)));
      }
    }
    return words;
  };
  const readChunk = async (store: BlobReader, policy: string, id: string, pack: PackInfo | undefined) => {
    assert.ok(pack);
    const sealed = await store.get(packKey(policy, pack.sha256), { ...HOW, maxSize: pack.size });
    const identities = [rehearsal.recovery.identity];
    const opened = await rehearsal.parts.pool.open(
      { kind: "open", ...slotOf(sealed), sha256: pack.sha256, identities },
      HOW,
    );
    const at = opened.chunks.find((chunk) => chunk.id === id);
    assert.ok(at);
    return Buffer.from(opened.tar.subarray(at.offset, at.offset + at.size)).toString();
  };
  const outcome = (store: BlobReader, key: string, allowUnsigned: boolean) =>
    read(store, key, allowUnsigned).then(
      () => READ,
      (error: unknown) => {
        if (!isFailure(error)) throw error;
        assert.equal(error.exitCode, EXITS[error.code], error.code);
        return error;
      },
    );

  test("what nobody touched is read, and its signer known", async () => {
    const store = await objects.copy().asStore();
    const signer = rehearsal.signer.publicKey;
    assert.deepEqual(await read(store, second.key, false), {
      words: ["one: the second night", "two: the second night"],
      signer,
    });
    assert.deepEqual(await read(store, first.key, false), {
      words: ["one: the first night", "two: the first night"],
      signer,
    });
  });

  const attacks: readonly Attack[] = [
    // Whoever cannot sign: the signature fails, and is all that --trust-unsigned lifts.
    {
      name: "a record without a signature",
      alter: (all) => all.remove(`${second.key}.sig`),
      code: "signature/untrusted",
      unsigned: READ,
      says: /is not signed/,
    },
    {
      name: "a signature that is empty",
      alter: (all) => all.set(`${second.key}.sig`, Buffer.alloc(0)),
      code: "signature/untrusted",
      unsigned: READ,
    },
    {
      name: "a signature that is none",
      alter: (all) => all.set(`${second.key}.sig`, Buffer.from("signed, honestly")),
      code: "signature/untrusted",
      unsigned: READ,
    },
    {
      name: "a signature that was cut short",
      alter: (all) => all.truncate(`${second.key}.sig`, 40),
      code: "signature/untrusted",
      unsigned: READ,
    },
    {
      name: "a forged signature",
      alter: (all) => edit(all, `${second.key}.sig`, /(?<=\n.{20})./, "~"),
      code: "signature/untrusted",
      unsigned: READ,
    },
    {
      name: "the signature of another record",
      alter: (all) => all.put(`${first.key}.sig`, `${second.key}.sig`),
      code: "signature/untrusted",
      unsigned: READ,
      says: /do(es)? not belong/,
    },
    {
      name: "a signature for another namespace",
      alter: (all) => signAnew(all, second.key, EVIDENCE_NAMESPACE),
      code: "signature/untrusted",
      unsigned: READ,
      says: /was not made for drops-snapshot-v1/,
    },
    {
      name: "a signature for repositories",
      alter: (all) => signAnew(all, second.key, REPOSITORY_NAMESPACE),
      code: "signature/untrusted",
      unsigned: READ,
    },
    {
      name: "a stranger's signature",
      alter: (all) => signAnew(all, second.key, SNAPSHOT_NAMESPACE, stranger),
      code: "signature/untrusted",
      unsigned: READ,
      says: /signed by a key that is not trusted/,
    },
    {
      name: "a record with a changed word",
      alter: (all) => edit(all, second.key, "drops test", "drops tess"),
      code: "signature/untrusted",
      unsigned: READ,
    },
    {
      name: "a record that was cut short",
      alter: (all) => all.truncate(second.key),
      code: "signature/untrusted",
      unsigned: "data/damaged",
    },
    {
      name: "a record of which nothing is left",
      alter: (all) => all.set(second.key, Buffer.alloc(0)),
      code: "signature/untrusted",
      unsigned: "data/damaged",
    },
    {
      name: "a record that names another manifest",
      alter: (all) => edit(all, second.key, /(?<="manifest": \{\s+"sha256": ")[0-9a-f]{8}/, "00000000"),
      code: "signature/untrusted",
      unsigned: "data/missing",
    },
    {
      name: "a description without a signature",
      alter: (all) => all.remove(`${REPOSITORY}.sig`),
      code: "signature/untrusted",
      unsigned: READ,
      says: /repository\.json in memory is not signed/,
    },
    {
      name: "a description whose signature is none",
      alter: (all) => all.set(`${REPOSITORY}.sig`, Buffer.from("-----BEGIN")),
      code: "signature/untrusted",
      unsigned: READ,
    },
    {
      name: "a description with a stranger's signature",
      alter: (all) => signAnew(all, REPOSITORY, REPOSITORY_NAMESPACE, stranger),
      code: "signature/untrusted",
      unsigned: READ,
    },
    {
      name: "a description signed for another namespace",
      alter: (all) => signAnew(all, REPOSITORY, SNAPSHOT_NAMESPACE),
      code: "signature/untrusted",
      unsigned: READ,
    },
    {
      name: "a description with a changed number",
      alter: (all) => edit(all, REPOSITORY, '"condemn_after": 172800', '"condemn_after": 1'),
      code: "signature/untrusted",
      unsigned: READ,
    },
    {
      name: "a description that was cut short",
      alter: (all) => all.truncate(REPOSITORY),
      code: "signature/untrusted",
      unsigned: "data/damaged",
    },

    // What is well signed, elsewhere than where it was made for.
    {
      name: "a record under another id",
      alter: (all) => copyRecord(all, second.key, renamed(second.key)),
      key: () => renamed(second.key),
      code: "data/damaged",
      unsigned: "data/damaged",
      says: /belongs to another place/,
    },
    {
      name: "an old record under a new date",
      alter: (all) => copyRecord(all, first.key, redated(first.key)),
      key: () => redated(first.key),
      code: "data/damaged",
      unsigned: "data/damaged",
      says: /belongs to another place/,
    },
    {
      name: "an old record in the place of a new one",
      alter: (all) => copyRecord(all, first.key, second.key),
      code: "data/damaged",
      unsigned: "data/damaged",
      says: /belongs to another place/,
    },
    {
      name: "a whole policy under another name",
      alter: (all) => {
        for (const key of all.keys())
          if (key.startsWith("rehearsal/")) all.put(key, key.replace("rehearsal/", "other/"));
      },
      key: () => second.key.replace("rehearsal/", "other/"),
      code: "data/damaged",
      unsigned: "data/damaged",
      says: /belongs to another place \(rehearsal, /,
    },
    {
      name: "records in another repository of the same signer",
      alter: (all) => {
        edit(all, REPOSITORY, /"id": "[0-9a-f]{32}"/, `"id": "${"0".repeat(32)}"`);
        signAnew(all, REPOSITORY, REPOSITORY_NAMESPACE);
      },
      code: "data/damaged",
      unsigned: "data/damaged",
      says: /belongs to another place/,
    },

    // Objects that are not what the signed hashes say.
    {
      name: "the manifest of another source",
      alter: (all) => all.put(keysOf(second, "two").manifest, keysOf(second, "one").manifest),
      code: "data/damaged",
      unsigned: "data/damaged",
    },
    {
      name: "the manifest of another night",
      alter: (all) => all.put(keysOf(first, "one").manifest, keysOf(second, "one").manifest),
      code: "data/damaged",
      unsigned: "data/damaged",
    },
    {
      name: "the list of another source",
      alter: (all) => all.put(keysOf(second, "two").list, keysOf(second, "one").list),
      code: "data/damaged",
      unsigned: "data/damaged",
      says: /does not match the hash in its name/,
    },
    {
      name: "the list of another night",
      alter: (all) => all.put(keysOf(first, "one").list, keysOf(second, "one").list),
      code: "data/damaged",
      unsigned: "data/damaged",
    },
    {
      name: "another valid pack under the name",
      alter: (all) => all.put(keysOf(second, "two").pack, keysOf(second, "one").pack),
      code: "data/damaged",
      unsigned: "data/damaged",
    },
    {
      name: "the pack of another night",
      alter: (all) => all.put(keysOf(first, "one").pack, keysOf(second, "one").pack),
      code: "data/damaged",
      unsigned: "data/damaged",
    },
    {
      name: "a manifest that was cut short",
      alter: (all) => all.truncate(keysOf(second, "one").manifest),
      code: "data/damaged",
      unsigned: "data/damaged",
    },
    {
      name: "a list that was cut short",
      alter: (all) => all.truncate(keysOf(second, "one").list),
      code: "data/damaged",
      unsigned: "data/damaged",
    },
    {
      name: "a pack that was cut short",
      alter: (all) => all.truncate(keysOf(second, "one").pack),
      code: "data/damaged",
      unsigned: "data/damaged",
    },
    {
      name: "a longer manifest",
      alter: (all) =>
        all.set(
          keysOf(second, "one").manifest,
          Buffer.concat([all.get(keysOf(second, "one").manifest), Buffer.of(0)]),
        ),
      code: "data/damaged",
      unsigned: "data/damaged",
    },
    {
      name: "a longer pack",
      alter: (all) =>
        all.set(
          keysOf(second, "one").pack,
          Buffer.concat([all.get(keysOf(second, "one").pack), Buffer.of(0)]),
        ),
      code: "data/damaged",
      unsigned: "data/damaged",
    },
    {
      name: "a manifest that is gone",
      alter: (all) => all.remove(keysOf(second, "one").manifest),
      code: "data/missing",
      unsigned: "data/missing",
    },
    {
      name: "a list that is gone",
      alter: (all) => all.remove(keysOf(second, "one").list),
      code: "data/missing",
      unsigned: "data/missing",
    },

    // What is well signed and not of the form: no second reading of the same bytes is possible.
    {
      name: "a record with a key twice",
      alter: (all) => {
        edit(
          all,
          second.key,
          '  "policy": "rehearsal",\n',
          '  "policy": "other",\n  "policy": "rehearsal",\n',
        );
        signAnew(all, second.key);
      },
      code: "data/damaged",
      unsigned: "data/damaged",
      says: /not in canonical form/,
    },
    {
      name: "a record in other white space",
      alter: (all) => {
        edit(all, second.key, '"format": 1', '"format":  1');
        signAnew(all, second.key);
      },
      code: "data/damaged",
      unsigned: "data/damaged",
      says: /not in canonical form/,
    },
    {
      name: "a record of a later format",
      alter: (all) => {
        edit(all, second.key, '"format": 1', '"format": 2');
        signAnew(all, second.key);
      },
      code: "data/damaged",
      unsigned: "data/damaged",
    },
  ];
  for (const { name, alter, key, code, unsigned, says } of attacks) {
    test(`${name}: ${code}, and with --trust-unsigned ${unsigned}`, async () => {
      const altered = objects.copy();
      alter(altered);
      const store = await altered.asStore();
      const refused = await outcome(store, key?.() ?? second.key, false);
      assert.ok(refused !== READ, "it was believed");
      assert.equal(refused.code, code);
      if (says) assert.match(refused.message, says);
      const lifted = await outcome(store, key?.() ?? second.key, true);
      assert.equal(lifted === READ ? lifted : lifted.code, unsigned);
    });
  }

  test("what is refused hides nothing else: the other snapshots are listed", async () => {
    const altered = objects.copy();
    altered.remove(`${second.key}.sig`);
    const store = await altered.asStore();
    assert.deepEqual((await read(store, first.key, false)).words, [
      "one: the first night",
      "two: the first night",
    ]);
  });

  test("with --trust-unsigned nobody is said to have signed what nobody trusted signed", async () => {
    const altered = objects.copy();
    signAnew(altered, second.key, SNAPSHOT_NAMESPACE, stranger);
    assert.equal((await read(await altered.asStore(), second.key, true)).signer, undefined);
  });

  const common = { mode: "0644", uid: 0, gid: 0, mtime: "0", size: "0" };
  const file = { path: "f", type: "file", ...common, chunks: [] };
  const lies: readonly { name: string; entries: readonly unknown[]; more?: object; says: RegExp }[] = [
    { name: "a path upwards", entries: [{ ...file, path: "../f" }], says: /leaves its directory/ },
    { name: "an absolute path", entries: [{ ...file, path: "/f" }], says: /leaves its directory/ },
    {
      name: "a path upwards in base64",
      entries: [{ ...file, path: undefined, path_b64: "Li4vZg==" }],
      says: /leaves its directory/,
    },
    { name: "a path with NUL", entries: [{ ...file, path: "f\0" }], says: /leaves its directory/ },
    {
      name: "a path twice in one line",
      entries: [{ ...file, path_b64: "Zg==" }],
      says: /names one thing twice/,
    },
    { name: "a path twice", entries: [file, file], says: /out of order/ },
    {
      name: "a hard link upwards",
      entries: [{ ...common, path: "f", type: "hardlink", target: "../f" }],
      says: /links outside its source/,
    },
    { name: "a size without chunks", entries: [{ ...file, size: "1" }], says: /do not add up/ },
    {
      name: "a pack that is not in the list",
      entries: [{ ...file, size: "1", chunks: [[0, "0".repeat(64), 1]] }],
      says: /names pack 0, which its list does not have/,
    },
    {
      name: "a chunk that is a path",
      entries: [{ ...file, size: "1", chunks: [[0, "../x", 1]] }],
      says: /malformed at chunks/,
    },
    { name: "an unknown type", entries: [{ ...file, type: "device" }], says: /malformed at type/ },
    { name: "a field that nobody knows", entries: [{ ...file, run: "rm -rf /" }], says: /malformed/ },
    {
      name: "an end that counts otherwise",
      entries: [file],
      more: { end: { entries: 2 } },
      says: /holds 1 entries and says 2/,
    },
    {
      name: "an end of other lines",
      entries: [file],
      more: { end: { sha256: "0".repeat(64) } },
      says: /has other lines than its last one says/,
    },
    {
      name: "the head of another source",
      entries: [],
      more: { head: { source: "two" } },
      says: /is that of rehearsal\/two/,
    },
    {
      name: "the head of another repository",
      entries: [],
      more: { head: { repository: "0".repeat(32) } },
      says: /is that of/,
    },
    {
      name: "a list of another form",
      entries: [],
      more: { list: (text: string) => `${text}\n` },
      says: /list [0-9a-f]+ is malformed/,
    },
    {
      name: "a list with another title",
      entries: [],
      more: { list: (text: string) => text.replace("v1", "v2") },
      says: /is malformed at line 1/,
    },
  ];
  for (const { name, entries, more, says } of lies) {
    test(`a signed manifest with ${name} is refused`, async () => {
      const forged = await forgeSnapshot(rehearsal, second.record, { source: "one", entries, ...more });
      const refused = await outcome(rehearsal.store, forged.key, false);
      assert.ok(refused !== READ, "it was believed");
      assert.equal(refused.code, "data/damaged");
      assert.match(refused.message, says);
    });
  }
});
