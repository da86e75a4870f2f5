import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { VersionedStore } from "../../../src/store/blob-store.ts";
import { isSafeKey } from "../../../src/store/keys.ts";
import { openS3Store } from "../../../src/store/s3.ts";
import type { FuzzTarget } from "../fuzz-target.ts";
import { joinedParts, NEVER, partsOf } from "../inputs.ts";

const HOW = { signal: NEVER };
const XML = '<?xml version="1.0" encoding="UTF-8"?>\n';
const LISTED = `${XML}<ListBucketResult><Name>bucket</Name><Prefix>drops/</Prefix><KeyCount>2</KeyCount><MaxKeys>1000</MaxKeys>
<EncodingType>url</EncodingType><IsTruncated>false</IsTruncated><Contents><Key>drops/a/b</Key>
<LastModified>2026-11-23T02:30:00.000Z</LastModified><ETag>"x"</ETag><Size>12</Size></Contents><Contents><Key>drops/a/c%20d</Key>
<LastModified>2026-11-23T02:30:00.000Z</LastModified><Size>0</Size></Contents></ListBucketResult>`;
const VERSIONS = `${XML}<ListVersionsResult><Name>bucket</Name><IsTruncated>false</IsTruncated><Version><Key>drops/a/b</Key>
<VersionId>v1</VersionId><IsLatest>true</IsLatest><LastModified>2026-11-23T02:30:00.000Z</LastModified><Size>12</Size></Version>
<DeleteMarker><Key>drops/a/c</Key><VersionId>v2</VersionId><IsLatest>true</IsLatest>
<LastModified>2026-11-23T02:30:00.000Z</LastModified></DeleteMarker></ListVersionsResult>`;
const FAILED = `${XML}<Error><Code>AccessDenied</Code><Message>no</Message><RequestId>1</RequestId></Error>`;
const RETENTION = `${XML}<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2026-12-23T02:30:00Z</RetainUntilDate></Retention>`;
const REMOVED = `${XML}<DeleteResult><Deleted><Key>drops/a/b</Key></Deleted><Error><Key>drops/a/c</Key><Code>AccessDenied</Code></Error></DeleteResult>`;

type Ask = (store: VersionedStore) => Promise<number>;

/** What each answer is the answer to, by the first byte of the input. */
const ASKS: readonly Ask[] = [
  async (store) => {
    let made = 0;
    for await (const { key, size, modified } of store.list("", HOW)) {
      assert.ok(isSafeKey(key) && Number.isSafeInteger(size) && size >= 0, "keys are plain, sizes are sizes");
      assert.ok(!Number.isNaN(modified.getTime()), "a time is one");
      made += 100 + key.length;
    }
    return made;
  },
  async (store) => {
    let made = 0;
    for await (const { key, size, modified } of store.listVersions("", HOW)) {
      assert.ok(isSafeKey(key) && Number.isSafeInteger(size) && size >= 0, "keys are plain, sizes are sizes");
      assert.ok(!Number.isNaN(modified.getTime()), "a time is one");
      made += 100 + key.length;
    }
    return made;
  },
  async (store) => (await store.get("a/b", { ...HOW, maxSize: 4096 })).length,
  async (store) => {
    const lock = await store.lockOf("a/b", "v1", HOW);
    assert.ok(lock === undefined || !Number.isNaN(lock.until.getTime()), "a time is one");
    return 64;
  },
  async (store) => (await store.checksum("a/b", HOW))?.length ?? 0,
  async (store) =>
    store.now(HOW).then((time) => (Number.isNaN(time.getTime()) ? Number.POSITIVE_INFINITY : 8)),
  async (store) => store.removeAll(["a/b", "a/c"], HOW).then(() => 0),
  async (store) => store.put("a/d", Buffer.from("x"), HOW).then(() => 0),
];

const head = (ask: number, status: number, ...lines: string[]) =>
  Buffer.concat([
    Buffer.from([ask]),
    Buffer.from([`${status}`, 'ETag: "x"', "Date: Mon, 23 Nov 2026 02:30:00 GMT", ...lines].join("\n")),
  ]);

let server: Promise<{ readonly store: VersionedStore; answer: (bytes: Buffer) => void }> | undefined;

export const S3: FuzzTarget = {
  name: "s3",
  mayThrow: [
    ...([
      "store/refused",
      "store/unavailable",
      "store/missing",
      "store/exists",
      "space/low",
      "clock/skewed",
    ] as const),
    ...(["data/damaged", "safety/refused"] as const),
  ],
  seeds: () => [
    joinedParts(head(0, 200), LISTED),
    joinedParts(head(1, 200), VERSIONS),
    joinedParts(head(2, 200), "content"),
    joinedParts(head(3, 200), RETENTION),
    joinedParts(head(4, 200, "x-amz-checksum-sha256: YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE="), ""),
    joinedParts(head(5, 200), LISTED),
    joinedParts(
      head(6, 200),
      REMOVED.replace("<Error>", "<Deleted>").replace("<Code>AccessDenied</Code></Error>", "</Deleted>"),
    ),
  ],
  words: [
    FAILED,
    RETENTION,
    REMOVED,
    "&lt;",
    "&#0;",
    "&#x110000;",
    "<![CDATA[",
    "]]>",
    "<!DOCTYPE a [<!ENTITY b 'c'>]>",
    "&b;",
  ].concat([
    "<a>",
    "</Contents>",
    "<Contents>",
    "<IsTruncated>true</IsTruncated>",
    "<NextContinuationToken>t</NextContinuationToken>",
    "403",
    "404",
    "503",
    "Content-Length: 99",
    "Date: x",
    "%2e%2e%2f",
  ]),
  async run(bytes) {
    server ??= answeringStore();
    const { store, answer } = await server;
    answer(bytes.subarray(1));
    return (ASKS[(bytes[0] ?? 0) % ASKS.length] as Ask)(store);
  },
  slow: (size) => 500 + size / 256, // the SDK's own share
};

/** A server on this machine that gives what it was told as the answer to every request. */
async function answeringStore() {
  let answer: Buffer = Buffer.alloc(0);
  let times = 0;
  const http: Server = createServer((request, response) => {
    request.resume();
    const [headers = Buffer.alloc(0), body = Buffer.alloc(0)] = partsOf(answer);
    const [status = "", ...lines] = headers.toString("latin1").split("\n").slice(0, 30);
    const found = /^[2345]\d\d$/.test(status) ? Number(status) : 200;
    for (const line of lines) {
      const [, name, value] = /^([A-Za-z0-9-]{1,40}): ([\x20-\x7e]{0,200})$/.exec(line) ?? [];
      if (name && value && !/^(transfer-encoding|connection|content-length|trailer)$/i.test(name))
        response.setHeader(name, value);
    }
    response.statusCode = times++ < 5 ? found : 403; // a listing that never ends is the caller's to bound
    response.end(body);
  });
  http.unref();
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  const { port } = http.address() as AddressInfo;
  const policy = {
    bucket: "bucket",
    prefix: "drops",
    endpoint: `http://127.0.0.1:${port}`,
    region: "r",
    path_style: true,
  };
  const patience = { attempts: 1, firstPauseMs: 1 };
  const store = await openS3Store(policy, { accessKeyId: "a", secretAccessKey: "b" }, { patience });
  return {
    store,
    answer: (bytes: Buffer) => {
      answer = bytes;
      times = 0;
    },
  };
}
