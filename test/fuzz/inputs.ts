import { readFileSync } from "node:fs";

export const NEVER = new AbortController().signal;

/** A file that a real program wrote, see make-corpus.ts. */
export function corpus(name: string): Buffer {
  return readFileSync(new URL(`./corpus/${name}`, import.meta.url));
}

/** Several files in one input. */
export const SEPARATOR = Buffer.from("\n=-=-=\n");

export function joinedParts(...parts: readonly (Buffer | string)[]): Buffer {
  return Buffer.concat(
    parts.flatMap((part, at) => (at === 0 ? [Buffer.from(part)] : [SEPARATOR, Buffer.from(part)])),
  );
}

export function partsOf(bytes: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0; at <= bytes.length; ) {
    const end = bytes.indexOf(SEPARATOR, at);
    parts.push(bytes.subarray(at, end < 0 ? bytes.length : end));
    if (end < 0) break;
    at = end + SEPARATOR.length;
  }
  return parts;
}
