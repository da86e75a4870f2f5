import * as z from "zod";
import { DropsError } from "../lib/errors.ts";
import { Policy, type S3Policy, type StorePolicy } from "../policy/schema.ts";

const FORMS =
  "a store is s3://BUCKET/PREFIX?endpoint=https://HOST&region=REGION, file:///DIRECTORY or /DIRECTORY";
/** What may stand behind the question mark; each is the field of that name in a policy's `s3`. */
const PARAMETERS = ["endpoint", "region", "path_style", "ca_file", "credentials_file"] as const;

/**
 * A store's address as one word, for a restore that has no policy file:
 * `s3://bucket/prefix?endpoint=https://…&region=…&ca_file=…&path_style=false&credentials_file=…`,
 * `file:///directory` (percent-encoded) or `/directory` (as it is). Throws usage/invalid.
 */
export function parseStoreUrl(url: string): StorePolicy {
  if (url.startsWith("/")) return checked({ directory: url });
  if (url.startsWith("file://")) return checked({ directory: decoded(url.slice("file://".length)) });
  if (url.startsWith("s3://")) return checked({ s3: parseS3(url) });
  throw invalid("this is not the address of a store", FORMS);
}

/** The address that `parseStoreUrl` reads back as the same policy. */
export function storeUrl(policy: StorePolicy): string {
  if ("directory" in policy) {
    return `file://${policy.directory.split("/").map(encodeURIComponent).join("/")}`;
  }
  const { s3 } = policy;
  const query = new URLSearchParams();
  if (s3.endpoint !== undefined) query.set("endpoint", s3.endpoint);
  query.set("region", s3.region);
  if (!s3.path_style) query.set("path_style", "false");
  if (s3.ca_file !== undefined) query.set("ca_file", s3.ca_file);
  if (s3.credentials_file !== undefined) query.set("credentials_file", s3.credentials_file);
  return `${s3Label(s3)}?${query}`;
}

/** How sentences name the store. */
export function s3Label(s3: Pick<S3Policy, "bucket" | "prefix">): string {
  return `s3://${s3.bucket}/${s3.prefix}`;
}

/** Unchecked fields: `checked` has the last word. */
function parseS3(url: string): Record<string, string | boolean> {
  const [address = "", query = "", ...more] = url.slice("s3://".length).split("?");
  if (more.length > 0) throw invalid("a store's address has one question mark", FORMS);
  // Whoever writes keys there would also find them in `ps` and in the shell's history.
  if (address.includes("@")) {
    throw invalid(
      "a store's address holds no credentials",
      "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    );
  }
  const slash = address.indexOf("/");
  const bucket = slash < 0 ? address : address.slice(0, slash);
  const prefix = slash < 0 ? "" : decoded(address.slice(slash + 1)).replace(/\/$/, "");
  return { bucket, ...(prefix === "" ? {} : { prefix }), ...parseQuery(new URLSearchParams(query)) };
}

function parseQuery(parameters: URLSearchParams): Record<string, string | boolean> {
  const fields: Record<string, string | boolean> = {};
  for (const [name, value] of parameters) {
    if (!PARAMETERS.some((known) => known === name)) throw unknownParameter(name);
    if (name in fields) throw invalid(`${name} stands twice in the store's address`, FORMS);
    fields[name] = name === "path_style" ? flag(value) : value;
  }
  return fields;
}

function flag(value: string): boolean {
  if (value === "true" || value === "false") return value === "true";
  throw invalid("path_style in a store's address is true or false", FORMS);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid(
      "a % in the store's address is not followed by two hex digits",
      "write %25 for the sign itself",
    );
  }
}

function checked(data: unknown): StorePolicy {
  const read = Policy.shape.store.safeParse(data);
  if (read.success) return read.data;
  throw invalid("this is not the address of a store", `${FORMS}: ${problems(read.error)}`);
}

/** The first sentence of every problem; a union nests those of its branches. */
function problems(error: z.ZodError): string {
  return z.prettifyError(error).split("\n")[0]?.replace(/^✖ /, "") ?? "";
}

function unknownParameter(name: string): DropsError {
  const shown = /^[\w-]{1,40}$/.test(name) ? name : "a parameter";
  return invalid(`${shown} is not known in a store's address`, `these are: ${PARAMETERS.join(", ")}`);
}

function invalid(message: string, hint: string): DropsError {
  return new DropsError("usage/invalid", message, { hint });
}
