/** Whom to believe, as lines: what is typed from a recovery sheet, and what recover.sh reads. */
import { DropsError } from "../lib/errors.ts";
import { checkPublicKey, readPublicKey } from "../seal/ssh-key.ts";
import { samePublicKey } from "../seal/sshsig.ts";
import type { RevokedSigner } from "./trust.ts";

/** Keys that are believed, and keys that are no longer. */
export interface Signers {
  /** OpenSSH public key lines. */
  readonly signers: readonly string[];
  readonly revoked: readonly RevokedSigner[];
}

const REVOKED = /^revoked (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z) (.*)$/;

/**
 * A public key a line, or `revoked 2026-11-20T00:00:00Z` and one: that is believed of what landed before. Blank lines and those
 * that begin with # are passed over.
 *
 * @throws DropsError key/wrong, naming `origin` and the line, never what is in it
 */
export function parseSigners(text: string, origin: string): Signers {
  const signers: string[] = [];
  const revoked: RevokedSigner[] = [];
  for (const [index, raw] of text.split("\n").entries()) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) continue;
    const where = `${origin}, line ${index + 1},`;
    const [, before = "", key = ""] = REVOKED.exec(line) ?? [];
    if (before === "") signers.push(checkPublicKey(line, where));
    else revoked.push({ key: checkPublicKey(key, where), before: timeOf(before, where) });
  }
  if (signers.length + revoked.length > 0) return { signers, revoked };
  throw new DropsError("key/wrong", `${origin} has no signer`, {
    hint: "write one whole public key on each line: ssh-ed25519 AAAA…",
  });
}

/** What `parseSigners` reads back. */
export function signerLines({ signers, revoked }: Signers): string[] {
  return [...signers, ...revoked.map(({ key, before }) => `revoked ${shortTime(before)} ${key}`)];
}

/** Each key once and without its comment, in the order in which it comes first. What is no key is left out: nobody can sign with it. */
export function distinctSigners(lines: readonly string[]): string[] {
  const keys = lines.filter((line) => readPublicKey(line)).map((line) => checkPublicKey(line, "the signer"));
  return keys.filter((key, index) => keys.findIndex((other) => samePublicKey(key, other)) === index);
}

/** To the millisecond where that says more. */
export function shortTime(time: Date): string {
  return time.toISOString().replace(".000Z", "Z");
}

function timeOf(text: string, where: string): Date {
  const time = new Date(text);
  if (!Number.isNaN(time.getTime())) return time;
  throw new DropsError("key/wrong", `${where} has an invalid time: ${text}`, {
    hint: "a time such as 2026-11-20T00:00:00Z",
  });
}
