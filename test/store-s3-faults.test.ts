import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { after, afterEach, beforeEach, mock, test } from "node:test";
import { inspect } from "node:util";
import { DropsError, type FailureCode } from "../src/lib/errors.ts";
import { heldBytes } from "../src/retention/held.ts";
import type { BlobStore } from "../src/store/blob-store.ts";
import type { S3Credentials } from "../src/store/credentials.ts";
import { openS3Store } from "../src/store/s3.ts";
import { type Mishap, type ProxyFault, startFaultProxy } from "./support/fault-proxy.ts";
import { startS3 } from "./support/s3.ts";

const MiB = 1024 * 1024;
const how = { signal: new AbortController().signal };
const patience = { attempts: 3, firstPauseMs: 5 };
const unhurried = { timeouts: { connectMs: 60_000, idleMs: 60_000 }, patience };
/** Only for what never answers: a busy machine, too, answers after a while. */
const hasty = { timeouts: { connectMs: 60_000, idleMs: 2000 }, patience };

const s3 = await startS3();
after(() => s3[Symbol.asyncDispose]());
const proxy = await startFaultProxy(s3.endpoint);
after(() => proxy[Symbol.asyncDispose]());

/** Past the proxy: what is really there. */
let direct: BlobStore;
let store: BlobStore;
let hastyStore: BlobStore;
let bucket = "";
beforeEach(async () => {
  bucket = await s3.makeBucket();
  direct = await openS3Store(s3.policy(bucket), s3.credentials);
  store = await open();
  hastyStore = await open(s3.credentials, hasty);
  proxy.reset();
});
afterEach(async () => {
  await store[Symbol.asyncDispose]();
  await hastyStore[Symbol.asyncDispose]();
  await direct[Symbol.asyncDispose]();
});

const pack = randomBytes(2 * MiB);
const packHash = createHash("sha256").update(pack).digest("hex");
const packName = `p/packs/${packHash.slice(0, 2)}/${packHash}`;
const recordName = "p/snapshots/20261123T023000Z-0011223344556677.json";
const record = Buffer.from('{"format":1}\n');

interface Ending {
  readonly code: FailureCode;
  readonly exit: number;
  readonly says: RegExp;
  readonly hints: RegExp;
}

const refused = { code: "store/refused", exit: 11 } as const;
const unavailable = { code: "store/unavailable", exit: 11 } as const;
const lasting: readonly { readonly name: string; readonly mishap: Mishap; readonly ending: Ending }[] = [
  {
    name: "403",
    mishap: { answer: 403, code: "AccessDenied" },
    ending: { ...refused, says: /access denied/, hints: /permissions/ },
  },
  {
    name: "403 without a code",
    mishap: { page: "", status: 403 },
    ending: { ...refused, says: /access denied/, hints: /permissions/ },
  },
  {
    name: "404 of the bucket",
    mishap: { answer: 404, code: "NoSuchBucket" },
    ending: { ...refused, says: /bucket does not exist/, hints: /make the bucket/ },
  },
  {
    name: "a web server's 404",
    mishap: { page: "<html><body><h1>Not Found</h1></body></html>", status: 404 },
    ending: { ...refused, says: /not that of an S3 server/, hints: /endpoint in the policy's store/ },
  },
  {
    name: "http to a port that speaks https",
    mishap: { page: "Client sent an HTTP request to an HTTPS server.\n", status: 400 },
    ending: { ...refused, says: /not that of an S3 server/, hints: /begins with http or https/ },
  },
  {
    name: "a bucket's name against the server's rules",
    mishap: { answer: 400, code: "InvalidBucketName" },
    ending: { ...refused, says: /does not take the name of the bucket/, hints: /3 to 63 lower-case/ },
  },
  {
    name: "501",
    mishap: { answer: 501, code: "NotImplemented" },
    ending: { ...refused, says: /does not know this request/, hints: /docs\/stores.md/ },
  },
  {
    name: "a lock, in MinIO's words",
    mishap: {
      answer: 400,
      code: "InvalidRequest",
      message: "Object is WORM protected and cannot be overwritten",
    },
    ending: { ...refused, says: /it is locked there/, hints: /lock ends/ },
  },
  {
    name: "301",
    mishap: { answer: 301, code: "PermanentRedirect" },
    ending: { ...refused, says: /another region/, hints: /region/ },
  },
  {
    name: "expired session",
    mishap: { answer: 400, code: "ExpiredToken" },
    ending: { ...refused, says: /token has expired/, hints: /new credentials/ },
  },
  {
    name: "a quota",
    mishap: { answer: 403, code: "QuotaExceeded" },
    ending: { code: "space/low", exit: 22, says: /quota/, hints: /prune/ },
  },
  {
    name: "500",
    mishap: { answer: 500, code: "InternalError" },
    ending: { ...unavailable, says: /answered 500/, hints: /again/ },
  },
  {
    name: "503",
    mishap: { answer: 503, code: "SlowDown" },
    ending: { ...unavailable, says: /slow down/, hints: /again/ },
  },
  {
    name: "silence",
    mishap: "freeze",
    ending: { ...unavailable, says: /no answer in time/, hints: /again/ },
  },
];

for (const { name, mishap, ending } of lasting) {
  test(`${name}, for good: every call fails with ${ending.code}, and nothing lands`, async () => {
    proxy.plan({ mishap });
    const asked = storeFor(mishap);
    const calls = [
      asked.get(packName, { ...how, maxSize: 4 * MiB }),
      listed(asked),
      asked.now(how),
      asked.put(packName, pack, { ...how, sha256: packHash }),
      asked.put(recordName, record, how),
      asked.remove(packName, how),
    ];
    await Promise.all(calls.map((call) => fails(ending, call)));
    assert.deepEqual(await listed(direct), []);
  });
}

test("a refusal is not asked for again, and an outage as often as patience allows", async () => {
  proxy.plan({ mishap: { answer: 403, code: "AccessDenied" } });
  await assert.rejects(store.get(packName, { ...how, maxSize: 1 }));
  assert.equal(proxy.requests.length, 1);
  proxy.reset();
  proxy.plan({ mishap: { answer: 500 } });
  await assert.rejects(store.get(packName, { ...how, maxSize: 1 }));
  assert.equal(proxy.requests.length, 3);
});

const passing: readonly Mishap[] = [
  { answer: 500 },
  { answer: 503, code: "SlowDown" },
  { answer: 429 },
  { answer: 400, code: "RequestTimeout" },
  { page: "<html>the proxy is starting</html>", status: 502 },
  "cut-request",
  "cut-answer",
  "stall-answer",
  "swallow-answer",
  "freeze",
];

for (const mishap of passing) {
  test(`${said(mishap)}, twice: reading and listing wait it out`, async () => {
    await direct.put(packName, pack, { ...how, sha256: packHash });
    proxy.plan({ mishap, times: 2 });
    assert.ok(pack.equals(await storeFor(mishap).get(packName, { ...how, maxSize: 4 * MiB })));
    proxy.plan({ mishap, times: 2 });
    assert.deepEqual(await listed(storeFor(mishap)), [`${packName} ${pack.length}`]);
  });

  test(`${said(mishap)}, twice: a pack is put again until it is there`, async () => {
    proxy.plan({ mishap, times: 2 });
    await storeFor(mishap).put(packName, pack, { ...how, sha256: packHash });
    assert.ok(pack.equals(await direct.get(packName, { ...how, maxSize: 4 * MiB })));
  });
}

test("a short body for good is store/unavailable and never a short answer", async () => {
  await direct.put(packName, pack, { ...how, sha256: packHash });
  for (const mishap of ["cut-answer", "stall-answer"] as const) {
    proxy.plan({ mishap });
    const says = mishap === "cut-answer" ? /connection failed/ : /no answer in time/;
    await fails(
      { ...unavailable, says, hints: /again/ },
      storeFor(mishap).get(packName, { ...how, maxSize: 4 * MiB }),
    );
  }
});

test("an answer that comes too late is store/unavailable; the pack may be there, and then it is whole", async () => {
  proxy.plan({ mishap: { delayMs: 4000 } });
  const ending = { ...unavailable, says: /no answer in time/, hints: /again/ };
  await fails(ending, hastyStore.put(packName, pack, { ...how, sha256: packHash }));
  await fails(ending, hastyStore.put(recordName, record, how));
  for (const line of await listed(direct)) assert.equal(line, `${packName} ${pack.length}`);
});

test("a page that is not S3's is no empty listing, no blob and no success", async () => {
  proxy.plan({ mishap: { page: "<html><body>Please log in to the network</body></html>" } });
  const ending = { ...unavailable, says: /not that of an S3 server/, hints: /again/ };
  await fails(ending, listed(store));
  await fails(ending, store.get(packName, { ...how, maxSize: 999 }));
  await fails(ending, store.put(packName, pack, { ...how, sha256: packHash }));
  await fails(ending, store.put(recordName, record, how));
  await fails(ending, store.now(how));
});

const unclear: readonly Mishap[] = [
  "swallow-answer",
  "cut-request",
  "freeze",
  { answer: 500 },
  { page: "x", status: 502 },
];
for (const mishap of unclear) {
  test(`${said(mishap)}: a record is put once, and the doubt is the caller's`, async () => {
    proxy.plan({ mishap, method: "PUT", times: 1 });
    await fails(
      { ...unavailable, says: /storing p\/snapshots/, hints: /again/ },
      storeFor(mishap).put(recordName, record, how),
    );
    assert.equal(proxy.requests.filter((line) => line.startsWith("PUT")).length, 1);
    const there = await listed(direct);
    assert.deepEqual(there, mishap === "swallow-answer" ? [`${recordName} ${record.length}`] : []);
  });
}

test("a record that was certainly not stored is put again", async () => {
  proxy.plan({ mishap: { answer: 503, code: "SlowDown" }, method: "PUT", times: 2 });
  await store.put(recordName, record, how);
  assert.deepEqual(await listed(direct), [`${recordName} ${record.length}`]);
});

test("a pack that another run had stored is store/exists, one whose own answer was lost is stored", async () => {
  proxy.plan({ mishap: "swallow-answer", method: "PUT", times: 1 });
  await store.put(packName, pack, { ...how, sha256: packHash });
  proxy.plan();
  await fails(
    { code: "store/exists", exit: 22, says: /exists already/, hints: /^$/ },
    store.put(packName, pack, { ...how, sha256: packHash }),
  );
});

test("what lies under a pack's name after a lost answer must have its size", async () => {
  await direct.put(packName, pack.subarray(1), how);
  proxy.plan({ mishap: "cut-request", method: "PUT", times: 1 });
  await fails(
    { code: "store/exists", exit: 22, says: /exists already/, hints: /^$/ },
    store.put(packName, pack, { ...how, sha256: packHash }),
  );
});

test("two writers at the same moment: the server asks to wait, and the pack is stored", async () => {
  proxy.plan({ mishap: { answer: 409, code: "ConditionalRequestConflict" }, method: "PUT", times: 1 });
  await store.put(packName, pack, { ...how, sha256: packHash });
  proxy.plan({ mishap: { answer: 409, code: "ConditionalRequestConflict" }, method: "PUT", times: 1 });
  await fails(
    { code: "store/exists", exit: 22, says: /exists already/, hints: /^$/ },
    store.put(recordName, record, how),
  );
});

const oldServers: readonly {
  readonly name: string;
  readonly faults: readonly ProxyFault[];
  readonly puts: number;
}[] = [
  {
    name: "conditional puts",
    faults: [{ header: "if-none-match", mishap: { answer: 501, code: "NotImplemented" } }],
    puts: 3,
  },
  {
    name: "checksums",
    faults: [{ header: "x-amz-checksum-sha256", mishap: { answer: 400, code: "InvalidArgument" } }],
    puts: 2,
  },
  {
    name: "either",
    faults: [
      { header: "if-none-match", mishap: { answer: 501, code: "NotImplemented" } },
      { header: "x-amz-checksum-sha256", mishap: { answer: 501, code: "NotImplemented" } },
    ],
    puts: 4,
  },
];
for (const { name, faults, puts } of oldServers) {
  test(`a server that does not know ${name} is asked once, then stored to without`, async () => {
    proxy.plan(...faults.map((fault) => ({ ...fault, method: "PUT" })));
    const countPuts = (): number => proxy.requests.filter((line) => line.startsWith("PUT")).length;
    await store.put(packName, pack, { ...how, sha256: packHash });
    assert.equal(countPuts(), puts);
    await store.put(recordName, record, how);
    assert.equal(countPuts(), puts + 1);
    for (const key of [packName, recordName]) {
      await fails(
        { code: "store/exists", exit: 22, says: /exists already/, hints: /^$/ },
        store.put(key, pack, how),
      );
    }
    assert.ok(pack.equals(await direct.get(packName, { ...how, maxSize: pack.length })));
    assert.equal((await direct.get(recordName, { ...how, maxSize: 99 })).length, record.length);
  });
}

const unknownChecksums: readonly ProxyFault["mishap"][] = [
  { answer: 501, code: "NotImplemented" },
  { answer: 400, code: "InvalidArgument" },
];
for (const mishap of unknownChecksums) {
  test(`${said(mishap)} where a checksum is asked for: it is asked without, as in a put`, async () => {
    await direct.put(packName, pack, { ...how, sha256: packHash });
    proxy.plan({ mishap, method: "HEAD", header: "x-amz-checksum-mode" });
    await store.checksum(packName, how);
    await fails(
      { code: "store/missing", exit: 20, says: /does not exist/, hints: /verify/ },
      store.checksum(`${packName}0`, how),
    );
  });
}

test("a server without ListObjectVersions is refused, asked once, and nothing is told of what versions hold", async () => {
  proxy.plan({ mishap: { answer: 501, code: "NotImplemented" }, url: /versions/ });
  await using versioned = await openS3Store(
    { ...s3.policy(bucket), endpoint: proxy.endpoint },
    s3.credentials,
    unhurried,
  );
  const ending = { ...refused, says: /does not know this request/, hints: /docs\/stores.md/ };
  await fails(ending, versioned.listVersions("p/", how)[Symbol.asyncIterator]().next());
  assert.equal(proxy.requests.length, 1);
  assert.equal(await heldBytes(versioned, "p", how), undefined);
  proxy.plan({ mishap: { answer: 500 }, url: /versions/ });
  assert.equal(await heldBytes(versioned, "p", how), undefined, "an outage does not hide what was pruned");
});

const lockless: readonly { readonly name: string; readonly mishap: Mishap; readonly says: RegExp }[] = [
  {
    name: "it knows no lock of it",
    mishap: { answer: 404, code: "NoSuchKey" },
    says: /is not locked as requested: not at all/,
  },
  {
    name: "it answers with the object",
    mishap: { page: "the bytes of the object" },
    says: /is not locked as requested: not at all/,
  },
  {
    name: "it knows no such request",
    mishap: { answer: 501, code: "NotImplemented" },
    says: /has no Object Lock/,
  },
];
for (const { name, mishap, says } of lockless) {
  test(`a server that ignores the headers of a lock (${name}): not locked as was asked, and nothing is missing`, async () => {
    bucket = await s3.makeBucket({ objectLock: true });
    await using locking = await open();
    proxy.plan({ mishap, url: /retention/ });
    const lock = { mode: "governance", until: new Date(Date.now() + 60_000) } as const;
    const put = locking.put(packName, pack, { ...how, sha256: packHash, lock });
    await fails({ ...refused, says, hints: /Object Lock|object_lock/ }, put);
  });
}

test("a refused lock is a clear answer: the put is not sent again, as Versity may have kept the object", async () => {
  proxy.plan({ mishap: { answer: 400, code: "InvalidRequest" }, method: "PUT" });
  const lock = { mode: "governance", until: new Date(Date.now() + 60_000) } as const;
  const put = store.put(packName, pack, { ...how, sha256: packHash, lock });
  await fails({ ...refused, says: /the store cannot lock objects/, hints: /object_lock/ }, put);
  assert.equal(proxy.requests.length, 1);
});

test("where many cannot be removed in one request they are removed one by one", async () => {
  for (const key of ["p/a", "p/b"]) await direct.put(key, record, how);
  proxy.plan({ mishap: { answer: 501, code: "NotImplemented" }, method: "POST" });
  await store.removeAll(["p/a", "p/gone", "p/b"], how);
  assert.deepEqual(await listed(direct), []);
  await direct.put("p/a", record, how);
  proxy.plan(
    { mishap: { answer: 501, code: "NotImplemented" }, method: "POST" },
    { mishap: { answer: 403, code: "AccessDenied" }, method: "DELETE" },
  );
  await fails({ ...refused, says: /access denied/, hints: /permissions/ }, store.removeAll(["p/a"], how));
});

test("https to a server that speaks plain http is named, and not tried again", async () => {
  const endpoint = proxy.endpoint.replace("http:", "https:");
  await using mistaken = await openS3Store({ ...s3.policy(bucket), endpoint }, s3.credentials, unhurried);
  const ending = { ...refused, says: /speaks plain http/, hints: /http or https/ };
  await fails(ending, listed(mistaken));
  await fails(ending, mistaken.put(recordName, record, how));
});

test("http to a server that speaks https is named", async () => {
  const endpoint = s3.tlsEndpoint.replace("https:", "http:");
  await using mistaken = await openS3Store({ ...s3.policy(bucket), endpoint }, s3.credentials, unhurried);
  await assert.rejects(mistaken.now(how), (error) => {
    assert.ok(error instanceof DropsError);
    assert.match(error.hint ?? "", /https/, error.message);
    return true;
  });
});

test("a server that lists out of order, or hides the next page, is refused", async () => {
  const entry = (key: string): string =>
    `<Contents><Key>drops/${key}</Key><Size>1</Size><LastModified>2026-11-23T02:30:00Z</LastModified></Contents>`;
  const page = (inner: string): Mishap => ({
    page: `<ListBucketResult><Name>${bucket}</Name>${inner}</ListBucketResult>`,
  });
  proxy.plan({ mishap: page(`<IsTruncated>false</IsTruncated>${entry("b")}${entry("a")}`) });
  await fails({ ...refused, says: /in order/, hints: /order/ }, listed(store));
  proxy.plan({ mishap: page(`<IsTruncated>true</IsTruncated>${entry("a")}`) });
  await fails({ ...refused, says: /not where/, hints: /ListObjectsV2/ }, listed(store));
});

const wrong: readonly {
  readonly name: string;
  readonly credentials: S3Credentials;
  readonly says: RegExp;
}[] = [
  {
    name: "an unknown access key",
    credentials: { ...s3.credentials, accessKeyId: "NOBODYKNOWSTHIS" },
    says: /access key is not known/,
  },
  {
    name: "a wrong secret key",
    credentials: { ...s3.credentials, secretAccessKey: "wrongwrongwrong" },
    says: /secret key does not belong/,
  },
];
for (const { name, credentials, says } of wrong) {
  test(`${name} is store/refused, and no error holds a credential`, async () => {
    await using stranger = await open({ ...credentials, sessionToken: "FwoGZXIvYXdzEPsecret" });
    await using tokenless = await open(credentials);
    const ending = { ...refused, says, hints: /AWS_ACCESS_KEY_ID/ };
    await fails(ending, tokenless.get(packName, { ...how, maxSize: 1 }));
    await fails(ending, tokenless.put(recordName, record, how));
    for (const asked of [stranger, tokenless]) {
      const error: unknown = await asked.put(packName, pack, how).catch((thrown: unknown) => thrown);
      assert.ok(error instanceof DropsError);
      const shown = inspect(error, { depth: 20, showHidden: true });
      for (const secret of [credentials.secretAccessKey, "FwoGZXIv", "Signature=", "authorization"]) {
        assert.ok(!shown.includes(secret), `${secret.slice(0, 3)}… is in ${shown}`);
      }
    }
  });
}

test("a bucket that does not exist is refused by the real server too", async () => {
  await using lost = await openS3Store(s3.policy("no-such-bucket-here"), s3.credentials, unhurried);
  const ending = { ...refused, says: /bucket does not exist/, hints: /make the bucket/ };
  await fails(ending, lost.get("repository.json", { ...how, maxSize: 1 }));
  await fails(ending, lost.put("repository.json", record, how));
  await fails(ending, listed(lost));
  await fails(ending, lost.now(how));
});

for (const hours of [-3, 3]) {
  test(`a clock that is ${hours} h off is clock/skewed and names the difference`, async () => {
    const ending = {
      code: "clock/skewed",
      exit: 22,
      says: /(180 minutes|[23] h \d+ min) apart/,
      hints: /timedatectl/,
    } as const;
    mock.timers.enable({ apis: ["Date"], now: Date.now() + hours * 3_600_000 });
    try {
      await fails(ending, store.put(recordName, record, how));
      await fails(ending, store.put(packName, pack, { ...how, sha256: packHash }));
      await fails(ending, listed(store));
    } finally {
      mock.timers.reset();
    }
    await store.put(recordName, record, how); // and no correction of the clock stays behind
    assert.deepEqual(await listed(direct), [`${recordName} ${record.length}`]);
  });
}

test("nobody listens there: store/unavailable", async () => {
  const gone = await startFaultProxy(s3.endpoint);
  await gone[Symbol.asyncDispose]();
  await using nowhere = await openS3Store(
    { ...s3.policy(bucket), endpoint: gone.endpoint },
    s3.credentials,
    unhurried,
  );
  await fails({ ...unavailable, says: /ECONNREFUSED/, hints: /again/ }, nowhere.put(recordName, record, how));
});

test("an abort ends a call that hangs, at once and with its reason", async () => {
  const reason = new Error("the operator pressed Ctrl-C");
  await direct.put(packName, pack, { ...how, sha256: packHash });
  await using patient = await openS3Store({ ...s3.policy(bucket), endpoint: proxy.endpoint }, s3.credentials);
  const calls: readonly [Mishap, (signal: AbortSignal) => Promise<unknown>][] = [
    ["freeze", (signal) => patient.put(recordName, record, { signal })],
    ["freeze", (signal) => patient.put(`q/${packHash}`, pack, { signal, sha256: packHash })],
    ["freeze", (signal) => patient.now({ signal })],
    ["stall-answer", (signal) => patient.get(packName, { signal, maxSize: pack.length })],
    [{ answer: 500 }, (signal) => patient.get(packName, { signal, maxSize: pack.length })],
  ];
  for (const [mishap, call] of calls) {
    proxy.plan({ mishap });
    const abort = new AbortController();
    setTimeout(() => abort.abort(reason), 60);
    const began = performance.now();
    await assert.rejects(call(abort.signal), (error) => error === reason);
    assert.ok(
      performance.now() - began < 30_000,
      `${said(mishap)}: long before it would have given up by itself`,
    );
  }
});

async function open(credentials: S3Credentials = s3.credentials, limits = unhurried): Promise<BlobStore> {
  return openS3Store({ ...s3.policy(bucket), endpoint: proxy.endpoint }, credentials, limits);
}

function storeFor(mishap: Mishap): BlobStore {
  const isSilent = mishap === "freeze" || mishap === "stall-answer";
  return isSilent ? hastyStore : store;
}

async function listed(from: BlobStore): Promise<string[]> {
  const lines: string[] = [];
  for await (const { key, size } of from.list("", how)) lines.push(`${key} ${size}`);
  return lines;
}

async function fails(ending: Ending, work: Promise<unknown>): Promise<void> {
  await assert.rejects(work, (error) => {
    assert.ok(error instanceof DropsError, inspect(error));
    assert.equal(error.code, ending.code, error.message);
    assert.equal(error.exitCode, ending.exit);
    assert.match(error.message, ending.says);
    assert.doesNotMatch(error.message, /\.$/);
    assert.match(error.hint ?? "", ending.hints);
    return true;
  });
}

function said(mishap: Mishap): string {
  return typeof mishap === "string" ? mishap : JSON.stringify(mishap);
}
