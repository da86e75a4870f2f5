import { execFile, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import type { S3Policy } from "../../src/policy/schema.ts";
import type { S3Credentials } from "../../src/store/credentials.ts";
import { freePort } from "./free-port.ts";
import { PATIENCE_MS } from "./until.ts";

export const S3PROXY_VERSION = "2.6.0";
const JAR = `s3proxy-${S3PROXY_VERSION}-jar-with-dependencies.jar`;
const SHA256 = "12e5e88d805cfed07f7d88b4a44a0d8ecb9f9d3cebeb544bb34fbc4ded1049d8";
const MAVEN_MS = 120_000;
const run = promisify(execFile);

export interface S3Proxy extends AsyncDisposable {
  readonly endpoint: string;
  readonly credentials: S3Credentials;
  /** A policy's `s3` for a new bucket. */
  makeBucket(): Promise<S3Policy>;
}

/**
 * A second real S3 server, which keeps objects as files, knows no versions, no locks and no checksums, and takes
 * If-None-Match without heeding it. Needs Java and Maven, which brings it from Maven Central once, into the user's cache.
 */
export async function startS3Proxy(): Promise<S3Proxy> {
  const jar = await bringS3Proxy();
  const place = await mkdtemp(join(tmpdir(), "drops-s3proxy-"));
  const credentials = { accessKeyId: "TESTKEY", secretAccessKey: randomBytes(20).toString("hex") };
  const endpoint = `http://127.0.0.1:${await freePort()}`;
  await mkdir(join(place, "data"));
  await writeFile(join(place, "conf"), settings(endpoint, credentials, join(place, "data")), { mode: 0o600 });
  const options = ["-Xmx512m", "-XX:TieredStopAtLevel=1", "-jar", jar, "--properties", join(place, "conf")];
  const child = spawn("java", options, { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.on("data", (piece: Buffer) => {
    said = (said + piece).slice(-1000);
  });
  const stop = async (): Promise<void> => {
    child.kill("SIGKILL");
    if (child.exitCode === null && child.signalCode === null) await once(child, "close");
    await rm(place, { recursive: true });
  };
  for (const until = Date.now() + PATIENCE_MS; ; ) {
    if (await fetch(endpoint).catch(() => undefined)) break;
    if (child.exitCode !== null || Date.now() > until) {
      await stop();
      throw new Error(`S3Proxy did not start: ${said}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    endpoint,
    credentials,
    makeBucket: () => makeBucket(endpoint, credentials),
    [Symbol.asyncDispose]: stop,
  };
}

async function makeBucket(endpoint: string, credentials: S3Credentials): Promise<S3Policy> {
  const bucket = `test-${randomBytes(6).toString("hex")}`;
  const client = new S3Client({ endpoint, credentials, region: "us-east-1", forcePathStyle: true });
  await client.send(new CreateBucketCommand({ Bucket: bucket }));
  client.destroy();
  return { bucket, prefix: "drops", endpoint, region: "us-east-1", path_style: true };
}

function settings(endpoint: string, { accessKeyId, secretAccessKey }: S3Credentials, data: string): string {
  return [
    `s3proxy.endpoint=${endpoint}`,
    "s3proxy.authorization=aws-v2-or-v4",
    `s3proxy.identity=${accessKeyId}`,
    `s3proxy.credential=${secretAccessKey}`,
    `s3proxy.v4-max-non-chunked-request-size=${128 * 1024 * 1024}`,
    "jclouds.provider=filesystem-nio2",
    `jclouds.filesystem.basedir=${data}`,
    "jclouds.identity=none",
    "jclouds.credential=none",
    "",
  ].join("\n");
}

/** The jar in the cache, which is moved there when it is whole. Throws where Java, Maven or Maven Central is missing. */
export async function bringS3Proxy(): Promise<string> {
  const cache = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "drops-test");
  const jar = join(cache, JAR);
  await run("java", ["-version"]);
  if ((await sha256Of(jar)) === SHA256) return jar;
  await mkdir(cache, { recursive: true });
  const scratch = await mkdtemp(join(cache, "s3proxy-"));
  try {
    const artifact = `-Dartifact=org.gaul:s3proxy:${S3PROXY_VERSION}:jar:jar-with-dependencies`;
    const options = ["-q", "-B", "dependency:copy", artifact, `-DoutputDirectory=${scratch}`];
    await run("mvn", options, { cwd: scratch, timeout: MAVEN_MS });
    const found = await sha256Of(join(scratch, JAR));
    if (found !== SHA256) throw new Error(`${JAR} has SHA-256 ${found}, not ${SHA256}`);
    await rename(join(scratch, JAR), jar);
    return jar;
  } catch (error) {
    throw new Error("no second S3 server for the tests; it needs java, mvn and Maven Central", {
      cause: error,
    });
  } finally {
    await rm(scratch, { recursive: true });
  }
}

async function sha256Of(path: string): Promise<string | undefined> {
  const bytes = await readFile(path).catch(() => undefined);
  return bytes && createHash("sha256").update(bytes).digest("hex");
}
