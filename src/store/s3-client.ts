import { Agent as HttpAgent } from "node:http";
import type { S3Client } from "@aws-sdk/client-s3";
import { DropsError, messageOf } from "../lib/errors.ts";
import { ANSWER_MS, SMALL_READS_AT_ONCE } from "../lib/limits.ts";
import { readText } from "../lib/read-at-most.ts";
import type { S3Policy } from "../policy/schema.ts";
import type { S3Credentials } from "./credentials.ts";
import { LowMemoryAgent } from "./low-memory-agent.ts";
import { boundAnswers } from "./s3-bounds.ts";

export interface S3Timeouts {
  /** Until a connection stands, in ms. */
  readonly connectMs: number;
  /** Without a byte in either direction, in ms. */
  readonly idleMs: number;
  /** For a request and its answer, beside what their bodies take, in ms. */
  readonly answerMs: number;
}

export const TIMEOUTS: S3Timeouts = { connectMs: 10_000, idleMs: 60_000, answerMs: ANSWER_MS };
/** More than the packs in flight and the small reads beside them; each holds one connection. */
const SOCKETS = SMALL_READS_AT_ONCE + 8;
const silent = { trace() {}, debug() {}, info() {}, warn() {}, error() {} };

export type Sdk = typeof import("@aws-sdk/client-s3");

/**
 * A client that tries once (what may be tried again is decided in s3.ts), asks no file or variable of its own, and
 * leaves checksums to us.
 */
export async function makeS3Client(
  { S3Client }: Sdk,
  s3: S3Policy,
  credentials: S3Credentials,
  timeouts: S3Timeouts,
): Promise<S3Client> {
  const ca = s3.ca_file === undefined ? undefined : await readAuthority(s3.ca_file);
  const agent = { keepAlive: true, maxSockets: SOCKETS };
  const client = new S3Client({
    credentials: { ...credentials },
    region: s3.region,
    ...(s3.endpoint === undefined ? {} : { endpoint: s3.endpoint }),
    forcePathStyle: s3.path_style,
    maxAttempts: 1,
    // A body is hashed once, by us, and that hash is signed: see `putCommand` in s3-put.ts.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    // Costs a round trip for each pack and, in the SDK, the kept connection too.
    expectContinueHeader: false,
    // A clock that is wrong is reported, not worked around.
    disableClockSkewCorrection: true,
    defaultsMode: "standard",
    useFipsEndpoint: false,
    useDualstackEndpoint: false,
    useArnRegion: false,
    disableMultiregionAccessPoints: true,
    disableS3ExpressSessionAuth: true,
    followRegionRedirects: false,
    userAgentAppId: "drops",
    logger: silent,
    requestHandler: {
      connectionTimeout: timeouts.connectMs,
      socketTimeout: timeouts.idleMs,
      httpAgent: new HttpAgent(agent),
      httpsAgent: new LowMemoryAgent({ ...agent, ...(ca === undefined ? {} : { ca }) }),
      logger: silent,
    },
  });
  boundAnswers(client, timeouts.answerMs);
  return client;
}

async function readAuthority(path: string): Promise<string> {
  try {
    return await readText(path);
  } catch (error) {
    throw new DropsError(
      "key/missing",
      `reading the store's certificate authority ${path}: ${messageOf(error)}`,
      {
        hint: "correct ca_file in the policy's store",
        cause: error,
      },
    );
  }
}
