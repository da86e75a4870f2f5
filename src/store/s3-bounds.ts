import { Readable } from "node:stream";
import type { S3Client } from "@aws-sdk/client-s3";
import { MOST_ANSWER, MOST_ERROR_ANSWER, SLOWEST } from "../lib/limits.ts";

/** A name of ours in the place of a server's code. */
export const ANSWER_TOO_LARGE = "AnswerTooLarge";
/** The same, of a refusal with a page of words: a web server's, not an S3 server's. */
export const NOT_AN_S3_ERROR = "NotAnS3Error";

/**
 * From now on `client` takes no answer that is larger or slower than an S3 server's: the SDK itself reads whatever comes, a
 * page or an error, into memory first. An object's own bytes pass through, for whoever reads them knows how many there may be.
 *
 * @param answerMs for a request and its answer, beside what their bodies take
 */
export function boundAnswers(client: S3Client, answerMs: number): void {
  const handler = client.config.requestHandler;
  const handle = handler.handle.bind(handler);
  handler.handle = async (request, how = {}) => {
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), timeFor(request.headers, answerMs));
    const given = "abortSignal" in how && how.abortSignal instanceof AbortSignal ? [how.abortSignal] : [];
    const abortSignal = AbortSignal.any([late.signal, ...given]);
    try {
      const { response } = await handle(request, { ...how, abortSignal });
      const isObject = request.query["x-id"] === "GetObject" && isWell(response.statusCode);
      if (isObject) endWithin(response.body, timeFor(response.headers, answerMs));
      else response.body = await readAnswer(response, abortSignal);
      return { response };
    } catch (error) {
      throw late.signal.aborted ? tooSlow() : error;
    } finally {
      clearTimeout(timer);
    }
  };
}

function isWell(statusCode: number): boolean {
  return statusCode >= 200 && statusCode < 300;
}

/**
 * A 404 page of a web server would be read as an object that is not there. Answers that may pass (408, 429, 5xx) may be
 * those of a proxy in front of a real server.
 */
function isForeign(statusCode: number, body: Buffer): boolean {
  const isRefusal = statusCode >= 400 && statusCode < 500 && statusCode !== 408 && statusCode !== 429;
  return isRefusal && body.length > 0 && !body.includes("<Code>");
}

/** In the shape of the SDK's own. */
function foreign(httpStatusCode: number): Error {
  const error = new Error(`answer ${httpStatusCode} without an S3 server's code`);
  return Object.assign(error, { name: NOT_AN_S3_ERROR, $metadata: { httpStatusCode } });
}

/** Milliseconds, for the body that the headers announce. */
function timeFor(headers: Readonly<Record<string, string>>, answerMs: number): number {
  const bytes = Number(headers["content-length"] ?? 0);
  return Math.min(answerMs + (Number.isFinite(bytes) ? bytes / SLOWEST : 0) * 1000, LONGEST_TIMER_MS);
}

const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** As the SDK's own; `s3Failure` knows the name. */
function tooSlow(): Error {
  return Object.assign(new Error("no answer in time"), { name: "TimeoutError" });
}

function endWithin(body: unknown, ms: number): void {
  if (!(body instanceof Readable)) return;
  const timer = setTimeout(() => body.destroy(tooSlow()), ms);
  body.once("close", () => clearTimeout(timer));
}

async function readAnswer(
  { body, statusCode }: { readonly body?: unknown; readonly statusCode: number },
  signal: AbortSignal,
): Promise<unknown> {
  if (!(body instanceof Readable)) return body;
  const most = isWell(statusCode) ? MOST_ANSWER : MOST_ERROR_ANSWER;
  const stop = () => body.destroy(signal.reason);
  signal.addEventListener("abort", stop, { once: true });
  const pieces: Buffer[] = [];
  let length = 0;
  try {
    for await (const piece of body as AsyncIterable<Buffer>) {
      length += piece.length;
      if (length > most)
        throw Object.assign(new Error("more than a server says"), { name: ANSWER_TOO_LARGE });
      pieces.push(piece);
    }
  } finally {
    signal.removeEventListener("abort", stop);
  }
  const whole = Buffer.concat(pieces, length);
  if (isForeign(statusCode, whole)) throw foreign(statusCode);
  return whole;
}
