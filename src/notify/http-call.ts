import { STATUS_CODES } from "node:http";
import type { Cancel } from "../lib/cancel.ts";
import { DropsError } from "../lib/errors.ts";
import type { Target } from "./secret-text.ts";

/** Whoever says one of these may say something else later. */
const LATER = new Set([408, 425, 429]);

export interface Call {
  readonly method: "GET" | "POST";
  readonly contentType?: string;
  readonly body?: string;
}

/**
 * One request. Answers `200 OK from HOST`. Redirects are not followed: headers and body are meant for one server. Answers are
 * not read and causes not quoted: either may repeat the address.
 */
export async function call({ url, headers }: Target, what: Call, { signal }: Cancel): Promise<string> {
  let response: Response;
  try {
    response = await fetch(url, {
      method: what.method,
      redirect: "manual",
      headers: {
        ...(what.contentType !== undefined && { "content-type": what.contentType }),
        "user-agent": "drops",
        connection: "close",
        ...headers,
      },
      ...(what.body !== undefined && { body: what.body }),
      signal,
    });
    await response.body?.cancel();
  } catch (error) {
    signal.throwIfAborted();
    throw new DropsError("notify/unreachable", `${url.host}: ${whyNot(error)}`);
  }
  const { status } = response;
  const said = `${status} ${STATUS_CODES[status] ?? ""}`.trim();
  if (response.ok) return `${said} from ${url.host}`;
  if (status >= 500 || LATER.has(status))
    throw new DropsError("notify/unreachable", `${url.host}: answered ${said}`);
  const moved = status >= 300 && status < 400;
  throw new DropsError("notify/refused", `${url.host}: answered ${said}`, {
    hint: moved
      ? "drops does not follow redirects: use the final address"
      : "check the address and the headers",
  });
}

const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection cut",
  UND_ERR_SOCKET: "connection cut",
  ENOTFOUND: "no such host",
  EAI_AGAIN: "the name could not be looked up",
  EHOSTUNREACH: "no way to the host",
  ENETUNREACH: "no way to the network",
  ETIMEDOUT: "no answer",
  UND_ERR_CONNECT_TIMEOUT: "no connection in time",
  UND_ERR_HEADERS_TIMEOUT: "no answer in time",
  CERT_HAS_EXPIRED: "its certificate has expired",
  DEPTH_ZERO_SELF_SIGNED_CERT: "its certificate is self-signed",
  SELF_SIGNED_CERT_IN_CHAIN: "its certificate is self-signed",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "its certificate cannot be verified",
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is for another name",
};

/** Codes only: messages of fetch may quote what it was asked for. */
function whyNot(error: unknown): string {
  for (let at = error; at instanceof Error; at = at.cause) {
    const codes = [at, ...(at instanceof AggregateError ? (at.errors as unknown[]) : [])].map((each) =>
      each instanceof Error && "code" in each ? String(each.code) : "",
    );
    const code = codes.find((each) => /^[A-Z][A-Z0-9_]+$/.test(each));
    if (code !== undefined) return WORDS[code] ?? code;
  }
  return "the request failed";
}
