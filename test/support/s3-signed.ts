import { createHash, createHmac } from "node:crypto";
import type { S3Credentials } from "../../src/store/credentials.ts";

/**
 * One request of a server's own interfaces (users, accounts, IAM), signed with AWS's Signature Version 4, which the S3
 * SDK signs for its own commands only. All that is asked stands in the address. Answers the body; throws with it when the server says no.
 */
export async function signedRequest(
  method: "GET" | "PUT" | "POST",
  url: URL,
  service: "s3" | "iam",
  { accessKeyId, secretAccessKey }: S3Credentials,
): Promise<string> {
  url.searchParams.sort();
  const time = new Date().toISOString().replaceAll(/[-:]|\.\d+/g, "");
  const scope = `${time.slice(0, 8)}/us-east-1/${service}/aws4_request`;
  const headers: Readonly<Record<string, string>> = {
    host: url.host,
    "x-amz-content-sha256": sha256(""),
    "x-amz-date": time,
  };
  const signed = Object.keys(headers).join(";");
  const canonical = [
    method,
    url.pathname,
    url.searchParams.toString().replaceAll("+", "%20").replaceAll("*", "%2A").replaceAll("%7E", "~"),
    ...Object.entries(headers).map(([name, value]) => `${name}:${value}`),
    "",
    signed,
    sha256(""),
  ].join("\n");
  const text = ["AWS4-HMAC-SHA256", time, scope, sha256(canonical)].join("\n");
  const key = scope
    .split("/")
    .reduce<string | Buffer>((last, part) => hmac(last, part), `AWS4${secretAccessKey}`);
  const signature = hmac(key, text).toString("hex");
  const answer = await fetch(url, {
    method,
    headers: {
      ...headers,
      authorization: `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope}, SignedHeaders=${signed}, Signature=${signature}`,
    },
  });
  const said = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${url.pathname}: ${answer.status} ${said}`);
  return said;
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}
