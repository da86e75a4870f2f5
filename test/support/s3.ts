import { type ChildProcess, execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { copyFile, mkdtemp, readdir, readFile, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import type { S3Policy } from "../../src/policy/schema.ts";
import type { S3Credentials } from "../../src/store/credentials.ts";
import { clockText, faketimeLibrary } from "./moved-clock.ts";
import { PATIENCE_MS } from "./until.ts";

export interface TestS3 extends AsyncDisposable {
  /** http://127.0.0.1:… */
  readonly endpoint: string;
  /** https://127.0.0.1:…, trusted by `caFile` alone. */
  readonly tlsEndpoint: string;
  readonly caFile: string;
  readonly credentials: S3Credentials;
  /** A policy's `s3` for a bucket here, over http. */
  policy(bucket: string, more?: Partial<S3Policy>): S3Policy;
  /** Answers the new bucket's name. */
  makeBucket(how?: { readonly objectLock?: boolean }): Promise<string>;
  /** Set its clock so much ahead of the real one; only of a server that was started with `clock`. */
  moveClock(seconds: number): Promise<void>;
  /** For DROPS_TEST_S3, so that test files share this server. */
  asEnvironment(): string;
}

interface Running {
  readonly endpoint: string;
  readonly tlsEndpoint: string;
  readonly caFile: string;
  readonly credentials: S3Credentials;
}

const run = promisify(execFile);
const scripts = new URL("./ceph/", import.meta.url).pathname;
const START_TRIES = 3;

/**
 * A real S3 server: Ceph's gateway, in a root directory of its own that is built once and kept in the user's cache.
 * Needs root. Where the test script has started one already (DROPS_TEST_S3), that one is used, unless `own` asks.
 */
export async function startS3(
  how: {
    readonly own?: boolean;
    readonly objectstore?: "memstore" | "bluestore";
    /** Its gateway lives by a clock that the test moves; such a server is the test's own. */
    readonly clock?: boolean;
  } = {},
): Promise<TestS3> {
  const shared = process.env["DROPS_TEST_S3"];
  if (shared && !how.own && !how.clock) return testS3(JSON.parse(shared), async () => {});
  const root = await buildRoot();
  for (let tries = 1; ; tries++) {
    try {
      return await start(root, how.objectstore ?? "memstore", how.clock === true);
    } catch (error) {
      if (tries === START_TRIES) throw error; // a port was taken in between, most likely
    }
  }
}

async function buildRoot(): Promise<string> {
  if (process.getuid?.() !== 0)
    throw new Error("the S3 server of the tests runs in a chroot: run the tests as root");
  const cache = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "drops-test");
  const { stdout } = await run("sh", [join(scripts, "build.sh"), cache]).catch((error: unknown) => {
    throw new Error(`no S3 server for the tests; it needs the packages mmdebstrap and util-linux`, {
      cause: error,
    });
  });
  return stdout.trim();
}

async function start(root: string, objectstore: string, clock: boolean): Promise<TestS3> {
  const data = await mkdtemp(join(tmpdir(), "drops-s3-"));
  if (clock) {
    await copyFile(await faketimeLibrary(), join(data, "faketime.so"));
    await writeFile(join(data, "clock"), clockText(0));
  }
  const credentials = { accessKeyId: "TESTKEY", secretAccessKey: randomBytes(20).toString("hex") };
  const [http = 0, https = 0, mon = 0, monV1 = 0] = await freePorts(4);
  const osdPorts = 40_000 + Math.floor(Math.random() * 200) * 100;
  const ports = [http, https, mon, monV1, osdPorts].map(String);
  const keys = [credentials.accessKeyId, credentials.secretAccessKey];
  const child = spawn("sh", [join(scripts, "run.sh"), root, data, ...ports, objectstore, ...keys], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const stop = async (): Promise<void> => {
    child.stdin.end(); // the script then takes everything down and away
    if (child.exitCode === null && child.signalCode === null) await once(child, "close");
  };
  try {
    await started(child);
    const endpoint = `http://127.0.0.1:${http}`;
    const running = {
      endpoint,
      tlsEndpoint: `https://127.0.0.1:${https}`,
      caFile: join(data, "tls.crt"),
      credentials,
    };
    await answers(endpoint, child);
    return testS3(running, stop, clock ? join(data, "clock") : undefined);
  } catch (error) {
    const logs = await lastWords(join(data, "log"));
    await stop();
    throw new Error(`the S3 server did not start: ${logs}`, { cause: error });
  }
}

function testS3(running: Running, stop: () => Promise<void>, clock?: string): TestS3 {
  const policy = (bucket: string, more: Partial<S3Policy> = {}): S3Policy => {
    return {
      bucket,
      prefix: "drops",
      endpoint: running.endpoint,
      region: "us-east-1",
      path_style: true,
      ...more,
    };
  };
  return {
    ...running,
    policy,
    asEnvironment: () => JSON.stringify(running),
    async moveClock(seconds) {
      if (clock === undefined) throw new Error("this server has the real clock");
      await writeFile(clock, clockText(seconds));
    },
    async makeBucket({ objectLock = false } = {}) {
      const bucket = `test-${randomBytes(6).toString("hex")}`;
      const { endpoint, credentials } = running;
      const client = new S3Client({ endpoint, credentials, region: "us-east-1", forcePathStyle: true });
      const more = objectLock ? { ObjectLockEnabledForBucket: true } : {};
      await client.send(new CreateBucketCommand({ Bucket: bucket, ...more }));
      client.destroy();
      return bucket;
    },
    [Symbol.asyncDispose]: stop,
  };
}

async function started(child: ChildProcess): Promise<void> {
  if (!child.stdout) throw new Error("no standard output");
  const lines = createInterface({ input: child.stdout });
  const [line] = await Promise.race([once(lines, "line"), once(child, "close").then(() => ["ended"])]);
  if (line !== "started") throw new Error(`the server's script said: ${line}`);
}

async function answers(endpoint: string, child: ChildProcess): Promise<void> {
  for (const until = Date.now() + PATIENCE_MS; ; ) {
    const answer = await fetch(endpoint).catch(() => undefined);
    if (answer?.status === 200) return;
    if (child.exitCode !== null || Date.now() > until) throw new Error("the gateway does not answer");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Held open until all are known, so that they differ. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, "127.0.0.1");
      await once(server, "listening");
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map(async (server) => once(server.close(), "close")));
  return ports;
}

async function lastWords(logs: string): Promise<string> {
  const names = await readdir(logs).catch(() => []);
  const texts = await Promise.all(names.map((name) => readFile(join(logs, name), "utf8")));
  return texts.map((text, at) => `${names[at]}: ${text.slice(-300)}`).join("\n");
}
