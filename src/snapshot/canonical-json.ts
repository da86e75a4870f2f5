import type * as z from "zod";
import { DropsError } from "../lib/errors.ts";

/**
 * JSON as the repository holds it: exactly what JSON.stringify gives (`indent` 0 for lines, 2 for documents, which end
 * in a newline). Anything else is refused, which also refuses duplicate keys: no reader can then be shown another value
 * than the one that was signed.
 */
export function encodeDocument(value: unknown): Buffer {
  return Buffer.from(`${JSON.stringify(value, null, 2)}\n`);
}

/**
 * Parse a document written by `encodeDocument` and check it against its schema.
 *
 * @param what the object, for the sentence: `snapshot record …`
 * @throws DropsError data/damaged when it is not canonical JSON or does not fit the schema
 */
export function decodeDocument<Schema extends z.ZodType>(
  bytes: Uint8Array,
  schema: Schema,
  what: string,
): z.infer<Schema> {
  const value = parseCanonical(
    Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString(),
    2,
    what,
  );
  return checkShape(value, schema, what);
}

/** Parse one line (without its newline) written by JSON.stringify. */
export function parseCanonical(text: string, indent: 0 | 2, what: string): unknown {
  let value: unknown;
  let again: string;
  try {
    value = JSON.parse(text);
    again = indent === 0 ? JSON.stringify(value) : `${JSON.stringify(value, null, 2)}\n`;
  } catch (cause) {
    // also when it is nested more deeply than JSON.stringify can follow
    throw new DropsError("data/damaged", `${what} is not JSON`, { cause });
  }
  if (again !== text) throw new DropsError("data/damaged", `${what} is not in canonical form`);
  return value;
}

export function checkShape<Schema extends z.ZodType>(
  value: unknown,
  schema: Schema,
  what: string,
): z.infer<Schema> {
  const read = schema.safeParse(value);
  if (read.success) return read.data;
  const [{ path, message }] = read.error.issues as [z.core.$ZodIssue];
  const where = path.length > 0 ? ` at ${path.join(".")}` : "";
  throw new DropsError("data/damaged", `${what} is malformed${where}: ${message}`);
}
