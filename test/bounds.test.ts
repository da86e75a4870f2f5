import assert from "node:assert/strict";
import { once } from "node:events";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTcpServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Host } from "../src/host/host.ts";
import { hostKeyCheck } from "../src/host/host-key.ts";
import { openLocalHost } from "../src/host/local.ts";
import { openSshHost } from "../src/host/ssh.ts";
import { sshDestination } from "../src/host/ssh-destination.ts";
import { atMost } from "../src/lib/at-most.ts";
import { type FailureCode, isFailure } from "../src/lib/errors.ts";
import { MOST_EMPTY_PAGES, MOST_LISTED, MOST_PAGES } from "../src/lib/limits.ts";
import { openChannels } from "../src/notify/open-channels.ts";
import { loadPolicy } from "../src/policy/load.ts";
import { Notify } from "../src/policy/notify-schema.ts";
import { newSigningKey } from "../src/seal/keygen.ts";
import { PostgresClient } from "../src/source/postgres/client.ts";
import { PsqlSession } from "../src/source/postgres/session.ts";
import type { VersionedStore } from "../src/store/blob-store.ts";
import { readCredentials } from "../src/store/credentials.ts";
import { openS3Store } from "../src/store/s3.ts";
import { Pages } from "../src/store/s3-pages.ts";
import { signersGiven } from "../src/trust/signers-given.ts";
import { alert } from "./contracts/channel.ts";

// What a host or a store sends without end, or far larger than it may be, ends in a clear failure, soon, and in little memory.
const MiB = 1024 * 1024;
const how = { signal: AbortSignal.timeout(600_000) };
/** No machine is so slow that one of these takes longer. Each sends for ever, so without a limit it would not end at all. */
const WITHIN_MS = 120_000;
/** What a row may take beside what the process had before: far less than what is sent, far more than what is held. */
const MOST_MEMORY = 256 * MiB;

const scratch = await mkdtemp(join(tmpdir(), "drops-bounds-"));
after(() => rm(scratch, { recursive: true }));
let host: Host;
before(async () => {
  await chmod(scratch, 0o711);
  host = await openLocalHost();
});
after(() => host[Symbol.asyncDispose]());

type Answer = (response: ServerResponse, request: IncomingMessage) => void;
const PIECE = Buffer.alloc(64 * 1024, "<x>y</x>");

const endless =
  (status: number, head = "", piece: Buffer = PIECE): Answer =>
  (response) => {
    response.writeHead(status, { "content-type": "application/xml", etag: '"x"' });
    response.write(head);
    const more = () => {
      while (!response.destroyed && response.write(piece));
    };
    response.on("drain", more);
    more();
  };
const drip: Answer = (response) => {
  response.writeHead(200, { "content-type": "application/xml", "content-length": "1024", etag: '"x"' });
  const timer = setInterval(() => response.write(" "), 5);
  response.on("close", () => clearInterval(timer));
};
const page =
  (inside: (count: number) => string): Answer =>
  (response) => {
    pages += 1;
    const text = `<?xml version="1.0"?><ListBucketResult><Name>b</Name><IsTruncated>true</IsTruncated>${inside(pages)}</ListBucketResult>`;
    response.writeHead(200, { "content-type": "application/xml" }).end(text);
  };
let pages = 0;
const object = (key: string) =>
  `<Contents><Key>p/${key}</Key><Size>1</Size><LastModified>2026-11-23T02:30:00.000Z</LastModified></Contents>`;
const token = (name: string | number) => `<NextContinuationToken>${name}</NextContinuationToken>`;

const read = (store: VersionedStore) => store.get("a", { ...how, maxSize: MiB });
const list = async (store: VersionedStore) => {
  for await (const _ of store.list("", how));
};
const listVersions = async (store: VersionedStore) => {
  for await (const _ of store.listVersions("", how));
};
const put = (store: VersionedStore) => store.put("a", Buffer.from("x"), how);
const remove = (store: VersionedStore) => store.remove("a", how);
const removeAll = (store: VersionedStore) => store.removeAll(["a", "b"], how);
const lock = { mode: "governance", until: new Date(0) } as const;

interface Row {
  readonly name: string;
  readonly code?: FailureCode;
  readonly says?: RegExp;
  readonly run: () => Promise<unknown>;
}

const asked = (
  name: string,
  code: FailureCode,
  says: RegExp,
  answer: Answer,
  ask: (store: VersionedStore) => Promise<unknown>,
): Row => ({
  ...{ name: `S3: ${name}`, code, says },
  run: () => withS3(answer, ask),
});
const TOO_LARGE = /larger than any that an S3 server gives/;

const s3Rows: readonly Row[] = [
  ...[read, list, listVersions, put, remove, removeAll].map((ask) =>
    asked(`an error without end, ${ask.name}`, "store/refused", TOO_LARGE, endless(500, "<Error>"), ask),
  ),
  ...[list, listVersions, put, remove, removeAll].map((ask) =>
    asked(`an answer without end, ${ask.name}`, "store/refused", TOO_LARGE, endless(200, "<a>"), ask),
  ),
  asked("an object of 1 TiB", "data/damaged", /bytes, at most/, announced(2 ** 40), read),
  asked("an object that comes by drips", "store/unavailable", /no answer in time/, drip, read),
  asked("a page that comes by drips", "store/unavailable", /no answer in time/, drip, list),
  asked("an answer to a put that comes by drips", "store/unavailable", /no answer in time/, drip, put),
  asked("a lock's answer without end", "store/refused", TOO_LARGE, endless(200, "<Retention>"), (store) =>
    store.lockOf("a", "v", how),
  ),
  asked("a lock's error without end", "store/refused", TOO_LARGE, endless(400, "<Error>"), (store) =>
    store.extendLock("a", "v", lock, how),
  ),
  asked(
    "the same page for ever",
    "store/refused",
    /the same page again/,
    page((count) => object(`a${String(count).padStart(9, "0")}`) + token("again")),
    list,
  ),
  asked(
    "pages without a name for ever",
    "store/refused",
    /not come to the end after \d+ pages/,
    page((count) => token(count)),
    list,
  ),
  asked(
    "names that come again",
    "store/refused",
    /does not list keys in order/,
    page((count) => object("a") + token(count)),
    list,
  ),
  asked(
    "more, and not where",
    "store/refused",
    /there is more, and not where/,
    page(() => object("a")),
    list,
  ),
  asked(
    "versions without an end",
    "store/refused",
    /the same page again/,
    page(() => "<NextKeyMarker>a</NextKeyMarker><NextVersionIdMarker>1</NextVersionIdMarker>"),
    listVersions,
  ),
  asked(
    "headers without end",
    "store/unavailable",
    /HPE_HEADER_OVERFLOW/,
    (response) => {
      const { socket } = response;
      socket?.write("HTTP/1.1 200 OK\r\n");
      stream(socket as Socket, Buffer.alloc(4096, "a: b\r\n"));
    },
    list,
  ),
  asked(
    "elements one within another, 6 MiB of them",
    "store/unavailable",
    /./,
    (response) => response.writeHead(200, { "content-type": "application/xml" }).end("<a>".repeat(2 * MiB)),
    list,
  ),
];

const shell = (script: string, more: { readonly within?: number } = {}) =>
  host.run(["sh", "-c", script], { ...how, ...more });
const psql = async (script: string) => {
  const bin = await mkdtemp(join(scratch, "bin-"));
  await chmod(bin, 0o755);
  await writeFile(join(bin, "psql"), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  const client = new PostgresClient(host, { database: "d", bin, run_as: host.user.name });
  await using _ = await PsqlSession.open(client, how);
};

const hostRows: readonly Row[] = [
  {
    name: "host: output without end",
    ...{ code: "host/command-failed", says: /printed more than 16777216 bytes/ },
    run: () => shell("yes"),
  },
  {
    name: "host: messages without end",
    ...{ code: "host/command-failed", says: /did not end within 1 s/ },
    run: () => shell("yes >&2", { within: 1000 }),
  },
  {
    name: "host: a command that does not end",
    ...{ code: "host/command-failed", says: /did not end within 0.1 s/ },
    run: () => shell("sleep 1000", { within: 100 }),
  },
  {
    name: "psql: a line without end",
    ...{ code: "source/failed", says: /printed too much output/ },
    run: () => psql("tr '\\0' x < /dev/zero"),
  },
  {
    name: "psql: short lines without end",
    ...{ code: "source/failed", says: /printed too much output/ },
    run: () => psql("yes 1"),
  },
  {
    name: "psql: long lines without end",
    ...{ code: "source/failed", says: /printed too much output/ },
    run: () => psql('yes "$(head -c 100000 /dev/zero | tr "\\0" x)"'),
  },
  {
    name: "SSH: a greeting without end",
    ...{ code: "host/unreachable", says: /greeting/ },
    run: () => greeted(Buffer.alloc(64 * 1024, "welcome\r\n")),
  },
];

const textRows: readonly Row[] = [
  {
    name: "a policy without end",
    ...{ code: "policy/invalid", says: /larger than 1 MiB/ },
    run: () => loadPolicy("/dev/zero"),
  },
  {
    name: "credentials without end",
    ...{ code: "key/wrong", says: /too large/ },
    run: () => readCredentials({ file: "/dev/zero", env: {} }),
  },
  {
    name: "known hosts without end",
    ...{ code: "host/key-mismatch", says: /too large/ },
    run: async () => {
      const how = { home: scratch, signal: new AbortController().signal };
      return hostKeyCheck(await sshDestination({ ...SSH, known_hosts: "/dev/zero" }, how));
    },
  },
  {
    name: "signers without end",
    ...{ code: "key/missing", says: /cannot read the trusted signer/ },
    run: () => signersGiven(["/dev/zero"]),
  },
  {
    name: "an authority without end",
    ...{ code: "key/missing", says: /too large/ },
    run: () => openS3Store({ ...S3, ca_file: "/dev/zero" }, CREDENTIALS),
  },
  {
    name: "documents without end",
    ...{ code: "store/refused", says: /more than 1000 records/ },
    run: async () => {
      for await (const _ of atMost(forever(), 1000, "records"));
    },
  },
];

const alertRows: readonly Row[] = [
  { name: "an alert's answer without end, which nobody reads", run: () => told(endless(200)) },
  {
    name: "an alert's headers without end",
    ...{ code: "notify/unreachable", says: /UND_ERR_HEADERS_OVERFLOW|cut/ },
    run: () =>
      told((response) => {
        response.socket?.write("HTTP/1.1 200 OK\r\n");
        stream(response.socket as Socket, Buffer.alloc(4096, "a: b\r\n"));
      }),
  },
];

for (const { name, code, says, run } of [...s3Rows, ...hostRows, ...textRows, ...alertRows]) {
  test(`${name}: ${code ?? "taken"}`, { timeout: WITHIN_MS }, async () => {
    await import("@aws-sdk/client-s3"); // what is loaded is not what is held
    const before = process.memoryUsage.rss();
    let most = before;
    const watch = setInterval(() => {
      most = Math.max(most, process.memoryUsage.rss());
    }, 10);
    try {
      if (code === undefined) await run();
      else
        await assert.rejects(run(), (error) => {
          assert.ok(isFailure(error, code), String(error));
          assert.match(error.message, says ?? /never/);
          return true;
        });
    } finally {
      clearInterval(watch);
    }
    assert.ok(most - before < MOST_MEMORY, `it took ${Math.round((most - before) / MiB)} MiB`);
  });
}

test("a listing has as many objects and pages as a large repository, and no more", () => {
  const turn = (names: number) => {
    const listing = new Pages("s3://b/p", "");
    return (count: number) => listing.next({ isTruncated: true, names, next: String(count) });
  };
  const until = (next: (count: number) => unknown): number => {
    for (let count = 0; ; count += 1) {
      try {
        next(count);
      } catch (error) {
        assert.ok(isFailure(error, "store/refused"));
        return count;
      }
    }
  };
  assert.equal(until(turn(1000)), MOST_LISTED / 1000);
  assert.equal(until(turn(1)), MOST_PAGES - 1);
  assert.equal(until(turn(0)), MOST_EMPTY_PAGES);
  assert.ok(MOST_LISTED >= 2_000_000);
});

test("a listing of 100000 objects is read to its end", async () => {
  const names = (count: number) =>
    Array.from({ length: 1000 }, (_, at) => object(`k${String(count * 1000 + at).padStart(9, "0")}`)).join(
      "",
    );
  let turned = 0;
  const answer: Answer = (response) => {
    const isLast = turned === 99;
    const text = `<ListBucketResult><Name>b</Name><IsTruncated>${!isLast}</IsTruncated>${names(turned)}${token(turned)}</ListBucketResult>`;
    turned += 1;
    response.writeHead(200, { "content-type": "application/xml" }).end(text);
  };
  await withS3(answer, async (store) => {
    let count = 0;
    for await (const _ of store.list("", how)) count += 1;
    assert.equal(count, 100_000);
  });
});

const CREDENTIALS = { accessKeyId: "a", secretAccessKey: "s" };
const S3 = {
  bucket: "b",
  prefix: "p",
  region: "us-east-1",
  path_style: true,
  endpoint: "http://127.0.0.1:9",
};
const SSH = { address: "127.0.0.1", port: 9, user: "u" };

async function withS3(answer: Answer, ask: (store: VersionedStore) => Promise<unknown>): Promise<void> {
  pages = 0;
  await using server = await startServer(answer);
  const patience = { attempts: 2, firstPauseMs: 1 };
  const timeouts = { connectMs: 5000, idleMs: 20_000, answerMs: server.answerMs };
  await using store = await openS3Store({ ...S3, endpoint: server.url }, CREDENTIALS, { timeouts, patience });
  await ask(store);
}

async function told(answer: Answer): Promise<void> {
  await using server = await startServer(answer);
  const { channels } = Notify.parse({ channels: [{ name: "it", kind: "ping", url: server.url }] });
  await openChannels(channels, { machine: "m" })[0]?.deliver(alert, { signal: AbortSignal.timeout(60_000) });
}

/** Whoever drips is cut soon; whoever floods has time, on a busy machine too. */
async function startServer(
  answer: Answer,
): Promise<AsyncDisposable & { readonly url: string; readonly answerMs: number }> {
  const server = createServer((request, response) => {
    response.on("error", () => {});
    request.on("error", () => {}).resume();
    answer(response, request);
  });
  const close = await listen(server);
  const { port } = server.address() as { port: number };
  return {
    url: `http://127.0.0.1:${port}/`.replace(/\/$/, ""),
    answerMs: answer === drip ? 500 : 60_000,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await close();
    },
  };
}

async function greeted(piece: Buffer): Promise<void> {
  const key_file = join(scratch, "key");
  await writeFile(key_file, newSigningKey("nobody").privateKey, { mode: 0o600 });
  const sockets = new Set<Socket>();
  const server = createTcpServer((socket) => {
    sockets.add(socket.on("error", () => {}));
    stream(socket, piece);
  });
  const close = await listen(server);
  try {
    const { port } = server.address() as { port: number };
    const host_key = "ssh-ed25519 AAAA";
    await openSshHost(
      { ...SSH, port, key_file, host_key, known_hosts: undefined },
      { ...how, home: scratch },
    );
  } finally {
    for (const socket of sockets) socket.destroy();
    await close();
  }
}

async function listen(server: Server): Promise<() => Promise<void>> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return async () => {
    server.close();
    await once(server, "close");
  };
}

function stream(socket: Socket, piece: Buffer): void {
  const more = () => {
    while (!socket.destroyed && socket.write(piece));
  };
  socket.on("drain", more);
  more();
}

function announced(bytes: number): Answer {
  return (response) => {
    response.writeHead(200, { "content-length": String(bytes), etag: '"x"' });
    response.write("x");
  };
}

async function* forever(): AsyncGenerator<number> {
  for (let at = 0; ; at += 1) yield at;
}
