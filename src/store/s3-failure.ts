import { DropsError, type FailureCode, messageOf } from "../lib/errors.ts";
import { missing, taken } from "./check-bytes.ts";
import { ANSWER_TOO_LARGE, NOT_AN_S3_ERROR } from "./s3-bounds.ts";

/** What was being asked of which store, for the sentence and for what a status means there. */
export interface Asked {
  readonly verb: "reading" | "storing" | "removing" | "listing" | "locking" | "asking for the time of";
  readonly label: string;
  readonly key?: string;
}

interface Meaning {
  readonly code: FailureCode;
  readonly why: string;
  readonly hint: string;
}

/** Also thrown, as a plain Error, by those who look into an answer. */
export const NOT_S3 = "the answer is not that of an S3 server";

/** Characters of a server's own words. */
const MOST_QUOTED = 500;
const CHECK_KEYS = "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY with the provider";
const CHECK_ENDPOINT =
  "look at what answers there: endpoint in the policy's store, its port, and whether it begins with http or https";
const TRY_AGAIN = "look at the network and the provider's status page, then run the command again";
const refused = (why: string, hint: string): Meaning => ({ code: "store/refused", why, hint });
const unavailable = (why: string): Meaning => ({
  code: "store/unavailable",
  why,
  hint: why === NOT_S3 ? `${CHECK_ENDPOINT}; then run the command again` : TRY_AGAIN,
});

/** By the code in the answer: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html and RGW's own. */
const BY_CODE: Readonly<Record<string, Meaning>> = {
  NoSuchBucket: refused("the bucket does not exist", "make the bucket, or correct it in the policy's store"),
  InvalidAccessKeyId: refused("the access key is not known there", CHECK_KEYS),
  SignatureDoesNotMatch: refused("the secret key does not belong to the access key", CHECK_KEYS),
  ExpiredToken: refused("the session token has expired", "get new credentials"),
  InvalidToken: refused("the session token is not valid", "get new credentials"),
  AccessDenied: refused("access denied", "compare the role's permissions with what this command needs"),
  AuthorizationHeaderMalformed: refused("the region is wrong", "correct region in the policy's store"),
  PermanentRedirect: refused(
    "the bucket is in another region",
    "correct region and endpoint in the policy's store",
  ),
  QuotaExceeded: { code: "space/low", why: "the quota is used up", hint: "raise the quota, or prune" },
  XMinioStorageFull: {
    code: "space/low",
    why: "the server's disks are full",
    hint: "make room on the server",
  },
  InsufficientStorage: { code: "space/low", why: "the server is full", hint: "make room on the server" },
  BadDigest: damagedOnTheWay(),
  XAmzContentSHA256Mismatch: damagedOnTheWay(),
  XAmzContentChecksumMismatch: damagedOnTheWay(),
  RequestTimeout: unavailable("the server waited for the request in vain"),
  SlowDown: unavailable("the server asks to slow down"),
  InvalidBucketName: refused(
    "the server does not take the name of the bucket",
    "correct bucket in the policy's store: 3 to 63 lower-case letters, digits, dots and dashes, and what else the provider demands",
  ),
  [NOT_AN_S3_ERROR]: refused(NOT_S3, CHECK_ENDPOINT),
  [ANSWER_TOO_LARGE]: refused("its answer is larger than any that an S3 server gives", CHECK_ENDPOINT),
};

const CUT: Meaning = {
  code: "store/unavailable",
  why: "the connection failed, cut by the other side",
  hint: `${TRY_AGAIN}; if it stays so: does endpoint begin with http where the server wants https?`,
};
const LOCKED = refused(
  "it is locked there",
  "wait until its lock ends: nothing removes, replaces or unlocks it before",
);

/** Codes of Node's sockets that say that nothing was sent. */
const NEVER_SENT = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EADDRNOTAVAIL",
]);
const CERTIFICATE = /^(CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|ERR_TLS_CERT|HOSTNAME_MISMATCH)/;
/** What Node says when https meets a server that answers in plain http. */
const PLAIN_HTTP = /^(EPROTO|ERR_SSL_WRONG_VERSION_NUMBER|ERR_SSL_PACKET_LENGTH_TOO_LONG)$/;
/** MinIO and Versity, of what is locked. */
const WORM = /\bWORM protected\b/i;
const NO_CONNECTION = /did not establish a connection/;

/**
 * What the SDK threw, as a failure of this program. The cause is a bare copy: the SDK's own errors carry the request
 * with its signature and session token.
 */
export function s3Failure(error: unknown, asked: Asked): DropsError {
  if (error instanceof DropsError) return error;
  const { label, key } = asked;
  const name = nameOf(error);
  const status = statusOf(error);
  const said = messageOf(error).slice(0, MOST_QUOTED);
  const cause = new Error(`${name}${status === undefined ? "" : ` (${status})`}: ${said}`);
  const doing = `${asked.verb} ${key === undefined ? label : `${key} in ${label}`}`;
  if (name === "RequestTimeTooSkewed") return skewed(error, doing, label, cause);
  if (key !== undefined && asksForOne(asked) && isMissing(name, status)) return missing(label, key, cause);
  if (key !== undefined && asked.verb === "storing" && (status === 412 || status === 409)) {
    return taken(label, key, cause);
  }
  const known = isWorm(error) ? LOCKED : BY_CODE[name];
  const meaning = known ?? byStatus(status) ?? byNetwork(error);
  return new DropsError(meaning.code, `${doing}: ${meaning.why}`, { hint: meaning.hint, cause });
}

function asksForOne({ verb }: Asked): boolean {
  return verb === "reading" || verb === "locking";
}

function isMissing(name: string, status: number | undefined): boolean {
  return name === "NoSuchKey" || name === "NoSuchVersion" || (status === 404 && !(name in BY_CODE));
}

/** Whether the server certainly did not do what it was asked: it said no, or was never reached. */
export function wasNotDone(error: unknown): boolean {
  const status = statusOf(error);
  if (status !== undefined)
    return (
      (status >= 300 && status < 500 && status !== 408) || status === 501 || nameOf(error) === "SlowDown"
    );
  const code = systemCode(error);
  return NEVER_SENT.has(code) || CERTIFICATE.test(code) || NO_CONNECTION.test(messageOf(error));
}

/** Whether a lock forbids it, in words that other servers use for a bucket without locks. */
export function isWorm(error: unknown): boolean {
  return nameOf(error) === "InvalidRequest" && WORM.test(messageOf(error));
}

/**
 * What a request about a lock gets in a bucket that was made without Object Lock, of Amazon and of Ceph alike; Ceph gives
 * no reason for a put. And 501 of a server that knows no locks.
 */
export function isNoLock(error: unknown): boolean {
  if (!(error instanceof Error) || isWorm(error)) return false;
  return statusOf(error) === 501 || (error.name === "InvalidRequest" && statusOf(error) === 400);
}

/** Whether a request may have been refused for a header that the server does not know. */
export function mayBeUnknownHeader(error: unknown): boolean {
  const status = statusOf(error);
  return (
    status === 501 || (status === 400 && (nameOf(error) === NOT_AN_S3_ERROR || !(nameOf(error) in BY_CODE)))
  );
}

/** The HTTP status of what the SDK threw; undefined when there was no answer. */
export function statusOf(error: unknown): number | undefined {
  const metadata = field(error, "$metadata");
  const status = field(metadata, "httpStatusCode");
  return typeof status === "number" ? status : undefined;
}

function byStatus(status: number | undefined): Meaning | undefined {
  if (status === undefined) return undefined;
  if (status === 507) return BY_CODE["InsufficientStorage"];
  if (status === 501)
    return refused(
      "the server does not know this request (501)",
      "compare the server with docs/stores.md: what drops needs of any server",
    );
  if (status >= 500 || status === 408 || status === 429) return unavailable(`the server answered ${status}`);
  if (status === 401 || status === 403) return BY_CODE["AccessDenied"];
  if (status === 404) return BY_CODE["NoSuchBucket"];
  if (status >= 300 && status < 400) return BY_CODE["PermanentRedirect"];
  if (status >= 400)
    return refused(
      `the server answered ${status}`,
      "compare the policy's store with the server's documentation",
    );
  return unavailable(NOT_S3);
}

function byNetwork(error: unknown): Meaning {
  const code = systemCode(error);
  if (CERTIFICATE.test(code)) {
    return refused(
      `its certificate is not trusted (${code})`,
      "name the authority's PEM file as ca_file in the policy's store",
    );
  }
  if (PLAIN_HTTP.test(code)) {
    return refused("https was asked of a server that speaks plain http", CHECK_ENDPOINT);
  }
  if (code.startsWith("HPE_INVALID"))
    return refused("what answers there does not speak http", CHECK_ENDPOINT);
  // The SDK calls this a TimeoutError too.
  if (code === "ECONNRESET" || code === "EPIPE") return CUT;
  if (nameOf(error) === "TimeoutError") return unavailable("no answer in time");
  if (code === "ENOTFOUND") return unavailable("its host name is not known");
  return unavailable(
    code === "" ? messageOf(error).slice(0, MOST_QUOTED) : `the connection failed (${code})`,
  );
}

function skewed(error: unknown, doing: string, label: string, cause: Error): DropsError {
  const server = new Date(String(field(field(field(error, "$response"), "headers"), "date"))).getTime();
  const apart = Number.isNaN(server) ? "too far apart" : `${minutes(Date.now() - server)} apart`;
  const message = `${doing}: the clocks of this machine and of ${label} are ${apart}`;
  return new DropsError("clock/skewed", message, { hint: "set this machine's clock: timedatectl", cause });
}

function minutes(ms: number): string {
  const whole = Math.round(Math.abs(ms) / 60_000);
  return whole < 120 ? `${whole} minutes` : `${Math.floor(whole / 60)} h ${whole % 60} min`;
}

function damagedOnTheWay(): Meaning {
  return {
    code: "data/damaged",
    why: "its bytes do not have the SHA-256 that was announced",
    hint: "check this machine's memory and network, then run the command again",
  };
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : "Error";
}

function systemCode(error: unknown): string {
  const code = field(error, "code");
  return typeof code === "string" ? code : "";
}

function field(of: unknown, name: string): unknown {
  return typeof of === "object" && of !== null ? Reflect.get(of, name) : undefined;
}
