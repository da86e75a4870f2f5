import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { randomFillSync } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Worker } from "node:worker_threads";
import {
  Decrypter,
  Encrypter,
  generateHybridIdentity,
  generateX25519Identity,
  identityToRecipient,
} from "age-encryption";
import fc from "fast-check";
import { type FailureCode, isFailure } from "../../src/lib/errors.ts";
import {
  newSealKey,
  open,
  openedSize,
  openInto,
  openKey,
  seal,
  sealedSize,
  sealInto,
} from "../../src/seal/age-stream.ts";

const PIECE = 64 * 1024;
const identity = await generateX25519Identity();
const recipient = await identityToRecipient(identity);
const other = await generateX25519Identity();
const hybrid = await generateHybridIdentity();
const hybridRecipient = await identityToRecipient(hybrid);
const key = await newSealKey([recipient]);

let dir = "";
before(async () => {
  dir = await mkdtemp(join(tmpdir(), "drops-age-"));
  await writeFile(join(dir, "identity"), `${identity}\n`, { mode: 0o600 });
});
after(() => rm(dir, { recursive: true }));

const code = (wanted: FailureCode) => (error: unknown) => isFailure(error, wanted);
const noise = (size: number) => randomFillSync(new Uint8Array(size));

function age(args: readonly string[], input: Uint8Array): Buffer {
  const ran = spawnSync("age", args, { input, maxBuffer: 64 * 1024 * 1024 });
  if (ran.error) throw new Error("age is missing: apt-get install age", { cause: ran.error });
  assert.equal(ran.status, 0, ran.stderr.toString());
  return ran.stdout;
}

const SIZES = [0, 1, 15, 16, 17, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 2 * PIECE + 1, 20_000_000];
for (const size of SIZES) {
  test(`${size} bytes go through the age command both ways`, async () => {
    const plain = noise(size);
    const sealed = await seal([recipient], plain);
    assert.equal(
      Buffer.compare(age(["-d", "-i", join(dir, "identity")], sealed), plain),
      0,
      "age opens ours",
    );
    const theirs = age(["-r", recipient], plain);
    assert.equal(Buffer.compare(await open([identity], theirs), plain), 0, "we open theirs");
    assert.equal(theirs.length, sealed.length);
  });
}

for (const [kind, theirs, theirRecipient] of [
  ["X25519", identity, recipient],
  ["post-quantum", hybrid, hybridRecipient],
] as const) {
  test(`the age package reads what we write and we read what it writes: ${kind}`, async () => {
    const plain = noise(3 * PIECE + 7);
    const decrypter = new Decrypter();
    decrypter.addIdentity(theirs);
    assert.equal(Buffer.compare(await decrypter.decrypt(await seal([theirRecipient], plain)), plain), 0);
    const encrypter = new Encrypter();
    encrypter.addRecipient(theirRecipient);
    assert.equal(Buffer.compare(await open([theirs], await encrypter.encrypt(plain)), plain), 0);
  });
}

test("every recipient opens it, alone or among other identities, and nobody else", async () => {
  const plain = noise(100);
  const sealed = await seal([recipient, await identityToRecipient(other)], plain);
  const stranger = await generateX25519Identity();
  for (const identities of [[identity], [other], [stranger, other], [hybrid, identity]]) {
    assert.deepEqual(await open(identities, sealed), plain);
  }
  for (const identities of [[], [stranger], [hybrid, stranger]]) {
    await assert.rejects(open(identities, sealed), code("key/wrong"));
  }
});

test("what cannot be a recipient or an identity is refused and an identity is not told", async () => {
  for (const recipients of [[], ["age1"], ["ssh-ed25519 AAAA"], [recipient, ""]]) {
    await assert.rejects(newSealKey(recipients), code("key/wrong"));
  }
  const secret = `${identity.slice(0, -4)}QQQQ`;
  await assert.rejects(open([secret], await seal([recipient], noise(1))), (error) => {
    assert.ok(isFailure(error, "key/wrong"));
    return ![error.message, error.hint, error.stack, error.cause].join("\n").includes(secret.slice(20, 40));
  });
});

test("two files never share a file key, a nonce or a byte of ciphertext by anything but chance", async () => {
  const [one, two] = [await newSealKey([recipient]), await newSealKey([recipient])];
  assert.notDeepEqual(one.fileKey, two.fileKey);
  const out = [Buffer.alloc(sealedSize(one, 64)), Buffer.alloc(sealedSize(one, 64))];
  for (const into of out) sealInto(one, new Uint8Array(64), into);
  const nonces = out.map((file) => file.toString("hex", one.header.length, one.header.length + 16));
  assert.notEqual(nonces[0], nonces[1]);
});

test("property: any bytes come back, in exactly the size foretold, and nothing beside them is touched", async () => {
  const opened = await openKey([identity], await seal([recipient], noise(0)));
  const size = fc.oneof(fc.nat(300), fc.integer({ min: PIECE - 20, max: PIECE + 20 }), fc.nat(4 * PIECE));
  fc.assert(
    fc.property(size, fc.nat(40), (length, offset) => {
      const plain = noise(length);
      const room = new Uint8Array(offset + sealedSize(key, length) + 9).fill(7);
      const written = sealInto(key, plain, room.subarray(offset));
      assert.equal(written, sealedSize(key, length));
      assert.ok(room.subarray(0, offset).every((byte) => byte === 7));
      assert.ok(room.subarray(offset + written).every((byte) => byte === 7));
      const sealed = room.subarray(offset, offset + written);
      const own = { fileKey: key.fileKey, payloadOffset: key.header.length };
      assert.equal(openedSize(own, written), length);
      const back = new Uint8Array(length + 5).fill(9);
      assert.equal(openInto(own, sealed, back), length);
      assert.equal(Buffer.compare(back.subarray(0, length), plain), 0);
      assert.ok(back.subarray(length).every((byte) => byte === 9));
      assert.throws(
        () => openInto({ ...opened, payloadOffset: own.payloadOffset }, sealed, back),
        code("data/damaged"),
      );
    }),
    { numRuns: 60 },
  );
});

test("a file of any other length than a whole one is damaged", async () => {
  const plain = noise(2 * PIECE + 3);
  const sealed = await seal([recipient], plain);
  const opened = await openKey([identity], sealed);
  const out = new Uint8Array(plain.length + 2 * PIECE);
  const whole = Buffer.concat([sealed, noise(2 * PIECE)]);
  const lengths = new Set<number>();
  const ends = [opened.payloadOffset, opened.payloadOffset + 16, sealed.length, whole.length];
  for (let piece = 1; piece < 4; piece += 1) ends.push(opened.payloadOffset + 16 + piece * (PIECE + 16));
  for (const end of ends) {
    for (let by = -40; by <= 40; by += 1) lengths.add(end + by);
  }
  for (const length of lengths) {
    if (length === sealed.length || length < opened.payloadOffset || length > whole.length) continue;
    assert.throws(() => openInto(opened, whole.subarray(0, length), out), code("data/damaged"), `${length}`);
  }
});

test("no flipped bit goes unnoticed: in the header, the nonce, either piece and either tag", async () => {
  const plain = noise(PIECE + 50);
  const sealed = await seal([recipient], plain);
  const { payloadOffset } = await openKey([identity], sealed);
  const firstTag = payloadOffset + 16 + PIECE;
  const places = [
    ...Array.from({ length: payloadOffset + 16 }, (_, at) => at),
    ...[payloadOffset + 16, payloadOffset + 16 + PIECE - 1, firstTag, firstTag + 15],
    ...[firstTag + 16, firstTag + 16 + 49, sealed.length - 16, sealed.length - 1],
  ];
  for (const at of places) {
    const changed = Uint8Array.from(sealed);
    changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
    await assert.rejects(open([identity], changed), (error) => {
      // A changed stanza is one that is addressed to nobody here.
      const codes: readonly FailureCode[] =
        at < payloadOffset ? ["data/damaged", "key/wrong"] : ["data/damaged"];
      assert.ok(isFailure(error, ...codes), `byte ${at}: ${error}`);
      return true;
    });
  }
});

test("pieces cannot change places, nor come twice, nor stand in for the end", async () => {
  const plain = noise(3 * PIECE);
  const sealed = Buffer.from(await seal([recipient], plain));
  const opened = await openKey([identity], sealed);
  const head = sealed.subarray(0, opened.payloadOffset + 16);
  const piece = (index: number) => {
    const start = head.length + index * (PIECE + 16);
    return sealed.subarray(start, start + PIECE + 16);
  };
  const out = new Uint8Array(4 * PIECE);
  for (const order of [[1, 0, 2], [0, 1], [0, 2], [0, 1, 1, 2], [0, 1, 2, 2], [2], [0, 1, 0]]) {
    const file = Buffer.concat([head, ...order.map(piece)]);
    assert.throws(() => openInto(opened, file, out), code("data/damaged"), order.join(" "));
  }
  assert.equal(openInto(opened, Buffer.concat([head, ...[0, 1, 2].map(piece)]), out), plain.length);
});

test("property: hostile bytes are damaged or not for us, and nothing else", async () => {
  const start = Buffer.from("age-encryption.org/v1\n");
  const hostile = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.uint8Array({ maxLength: 300 }).map((rest) => Buffer.concat([start, rest])),
    fc
      .string({ maxLength: 200 })
      .map((text) => Buffer.concat([start, Buffer.from(`-> ${text}\n\n--- ${text}\n`)])),
  );
  await fc.assert(
    fc.asyncProperty(hostile, async (bytes) => {
      await assert.rejects(open([identity], bytes), (error) => isFailure(error, "data/damaged", "key/wrong"));
    }),
    { numRuns: 200 },
  );
  await assert.rejects(
    open([identity], Buffer.concat([start, Buffer.alloc(1_000_000, "-> x\n")])),
    code("data/damaged"),
  );
});

test("a buffer that is too small is a mistake of the program, seen before anything is written", async () => {
  const out = new Uint8Array(sealedSize(key, 100) - 1).fill(7);
  assert.throws(() => sealInto(key, noise(100), out), RangeError);
  assert.ok(out.every((byte) => byte === 7));
  const sealed = await seal([recipient], noise(100));
  const opened = await openKey([identity], sealed);
  assert.throws(() => openInto(opened, sealed, new Uint8Array(99)), RangeError);
});

test("shared memory can be sealed and opened in place", async () => {
  const plain = new Uint8Array(new SharedArrayBuffer(PIECE + 9));
  plain.set(noise(plain.length));
  const sealed = new Uint8Array(new SharedArrayBuffer(sealedSize(key, plain.length)));
  sealInto(key, plain, sealed);
  const back = new Uint8Array(new SharedArrayBuffer(plain.length));
  openInto({ fileKey: key.fileKey, payloadOffset: key.header.length }, sealed, back);
  assert.equal(Buffer.compare(back, plain), 0);
  assert.equal(Buffer.compare(await open([identity], sealed), plain), 0);
});

test("a file can be opened where it lies: no piece is read after it was written over", async () => {
  for (const size of [0, 1, PIECE - 1, PIECE, PIECE + 1, 4 * PIECE + 5]) {
    const plain = noise(size);
    const memory = await seal([recipient], plain);
    const opened = await openKey([identity], memory);
    assert.equal(openInto(opened, memory, memory), size);
    assert.equal(Buffer.compare(memory.subarray(0, size), plain), 0, `${size}`);
  }
});

test("a key can be posted to a thread that seals with it", async () => {
  const plain = noise(PIECE * 2 + 1);
  const thread = new Worker(
    `const { parentPort, workerData } = require("node:worker_threads");
     import(workerData.module).then(({ sealInto, sealedSize }) => {
       const out = new Uint8Array(sealedSize(workerData.key, workerData.plain.length));
       sealInto(workerData.key, workerData.plain, out);
       parentPort.postMessage(out, [out.buffer]);
     });`,
    {
      eval: true,
      workerData: { module: new URL("../../src/seal/age-stream.ts", import.meta.url).href, key, plain },
    },
  );
  const sealed = await new Promise<Uint8Array>((done, failed) => {
    thread.once("message", done);
    thread.once("error", failed);
  });
  await thread.terminate();
  assert.deepEqual(await open([identity], sealed), plain);
});
