import { createHash, type Hash, hash } from "node:crypto";

/**
 * The digest of a table's rows, the same wherever the same rows lie: in the snapshot of a capture, in a restored database,
 * in a drill.
 *
 * `v2`: every row's line as `COPY … TO STDOUT` writes it, in the database's encoding and without the line feed, is hashed
 * with SHA-256; the first and the second 8 bytes, as signed 64-bit numbers, are summed over all rows; the digest is the
 * first 128 bits of the SHA-256 of `rows:sum:sum`, in hex, or of `0` for no rows. Columns come in the order of their names,
 * without generated ones. A sum does not care for the order of rows, counts duplicates (XOR would cancel pairs), and needs
 * neither a sort nor memory. It finds what goes wrong by accident; what is done on purpose is held off by the signature over
 * the dump. The text of a value depends on settings of the session: they are pinned (session-settings.ts).
 */
export const DIGEST_VERSION = "v2" as const;

export type DigestVersion = "v1" | typeof DIGEST_VERSION;

/** The version that facts were digested with; undefined when they have no digests, or those of a newer program. */
export function digestOf(facts: { readonly digest_version?: string | undefined }): DigestVersion | undefined {
  const { digest_version: version } = facts;
  return version === "v1" || version === DIGEST_VERSION ? version : undefined;
}

/** Sums up rows, one after the other, in pieces of any size. */
export class RowDigest {
  #rows = 0n;
  #first = 0n;
  #second = 0n;
  #begun: Hash | undefined;

  /** The next bytes of a row; `isLast`: the row ends with them. */
  add(bytes: Uint8Array, isLast: boolean): void {
    if (!isLast) {
      this.#begun ??= createHash("sha256");
      this.#begun.update(bytes);
      return;
    }
    const sum = this.#begun?.update(bytes).digest() ?? hash("sha256", bytes, "buffer");
    this.#begun = undefined;
    this.#rows++;
    this.#first += sum.readBigInt64BE(0);
    this.#second += sum.readBigInt64BE(8);
  }

  get rows(): string {
    return String(this.#rows);
  }

  get digest(): string {
    const sums = this.#rows === 0n ? "0" : `${this.#rows}:${this.#first}:${this.#second}`;
    return `${DIGEST_VERSION}:${hash("sha256", sums, "hex").slice(0, 32)}`;
  }
}
