/** The `string` of RFC 4251, section 5: a 32-bit length and as many bytes. */
export function sshString(bytes: Uint8Array | string): Buffer {
  const body = typeof bytes === "string" ? Buffer.from(bytes) : bytes;
  const out = Buffer.allocUnsafe(4 + body.length);
  out.writeUInt32BE(body.length);
  out.set(body, 4);
  return out;
}

/** Reads SSH's binary forms from the front. Every method throws a RangeError where the bytes end too early. */
export class SshReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  uint32(): number {
    const value = this.#bytes.readUInt32BE(this.#at);
    this.#at += 4;
    return value;
  }

  raw(length: number): Buffer {
    if (length > this.#bytes.length - this.#at) throw new RangeError("ends too early");
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  string(): Buffer {
    return this.raw(this.uint32());
  }

  text(): string {
    return this.string().toString("latin1");
  }

  /** What was not read yet. */
  rest(): Buffer {
    return this.#bytes.subarray(this.#at);
  }

  end(): void {
    if (this.rest().length > 0) throw new RangeError("does not end where it should");
  }
}

/** The bytes of canonical base64, undefined for anything else: one key or signature has one spelling. */
export function strictBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, "base64");
  return bytes.toString("base64") === text ? bytes : undefined;
}

/** OpenSSH's armor around a binary form: base64 in lines of 70. */
export function armored(label: string, blob: Buffer): string {
  const lines = blob.toString("base64").match(/.{1,70}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n");
}

/** What is in the armor that a text is; undefined when it is none. */
export function unarmored(label: string, text: string): Buffer | undefined {
  const [begin, end] = [`-----BEGIN ${label}-----\n`, `\n-----END ${label}-----`];
  if (!text.startsWith(begin) || !text.endsWith(end)) return undefined;
  return strictBase64(text.slice(begin.length, -end.length).replaceAll("\n", ""));
}
