import { hash } from "node:crypto";
import { Decrypter, Encrypter, identityToRecipient } from "age-encryption";
import { DropsError } from "../lib/errors.ts";
import { readSecretFile } from "../lib/secret-file.ts";
import { checkPublicKey } from "./ssh-key.ts";

export interface IdentityFile {
  /** `AGE-SECRET-KEY-1…` and `AGE-SECRET-KEY-PQ-1…`. Secret. */
  readonly identities: readonly string[];
  /** OpenSSH public keys whose snapshots are believed, from the file's comments. */
  readonly trustedSigners: readonly string[];
}

const TRUSTED_SIGNER = /^#\s*trusted signer:\s*(.*)$/;

/** Names a set of recipients, in whatever order: SHA-256 of the sorted set, one a line, as hex. */
export function recipientSetHash(recipients: readonly string[]): string {
  return hash("sha256", [...new Set(recipients)].sort().join("\n"), "hex");
}

/**
 * That files can be sealed to `recipients`: age X25519 (`age1…`) or the post-quantum hybrid (`age1pq1…`), not mixed,
 * because a file is only as strong against a quantum computer as its weakest recipient. `origin` names where they
 * were written.
 *
 * @throws DropsError key/wrong
 */
export function checkRecipients(recipients: readonly string[], origin: string): void {
  if (recipients.length === 0)
    throw wrong(`${origin} names no recipient`, "drops keygen --to DIRECTORY makes one");
  for (const recipient of recipients) checkRecipient(recipient, origin);
  const hybrid = recipients.filter(isHybrid).length;
  if (hybrid !== 0 && hybrid !== recipients.length) {
    throw wrong(
      `${origin} mixes post-quantum recipients with others`,
      "use only age1pq1… recipients, or none of them",
    );
  }
}

/**
 * Read an age identity file. The comments `# trusted signer: ssh-ed25519 AAAA…` in it carry the keys whose snapshots
 * are believed, so that a restore can start from a store's address and this one file.
 *
 * @throws DropsError key/missing, key/wrong
 */
export async function readIdentityFile(path: string): Promise<IdentityFile> {
  const what = "identity file";
  return parseIdentityFile(await readSecretFile(path, what), `${what} ${path}`);
}

/** @throws DropsError key/wrong, naming `origin` and the line, never what is in it */
export function parseIdentityFile(text: string, origin: string): IdentityFile {
  if (/^(age-encryption\.org\/|-----BEGIN AGE ENCRYPTED FILE-----)/.test(text)) {
    throw wrong(
      `${origin} is encrypted with a passphrase`,
      "decrypt it first, to memory: age -d FILE > /dev/shm/identity; chmod 600 /dev/shm/identity",
    );
  }
  if (/^-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text)) {
    throw wrong(`${origin} is not an age identity but another kind of private key`);
  }
  const identities: string[] = [];
  const trustedSigners: string[] = [];
  for (const [index, raw] of text.split("\n").entries()) {
    const line = raw.trim();
    const where = `${origin}, line ${index + 1},`;
    const signer = TRUSTED_SIGNER.exec(line)?.[1];
    if (signer !== undefined) trustedSigners.push(checkPublicKey(signer, where));
    else if (line !== "" && !line.startsWith("#")) identities.push(checkIdentity(line, where));
  }
  if (identities.length === 0) throw wrong(`${origin} holds no identity`);
  return { identities, trustedSigners };
}

/** The public halves of `identities`, in their order. Throws key/wrong. */
export async function recipientsOf(identities: readonly string[]): Promise<readonly string[]> {
  return Promise.all(
    identities.map((identity) => identityToRecipient(checkIdentity(identity, "the identity"))),
  );
}

function checkRecipient(recipient: string, origin: string): void {
  if (/^AGE-SECRET-KEY-/i.test(recipient)) {
    throw wrong(
      `${origin} holds a secret identity where a recipient belongs`,
      "use the age1… on its public key line",
    );
  }
  if (!/^age1[a-z0-9]+$/.test(recipient)) throw wrong(`${origin} holds a line that is no age recipient`);
  const kind = isHybrid(recipient) ? "post-quantum" : "X25519";
  try {
    new Encrypter().addRecipient(recipient);
    // A plugin's or a tag's recipient needs a program or a device to be opened again.
    if (kind === "X25519" && recipient.length !== "age1".length + 58) throw new TypeError("another kind");
  } catch (cause) {
    throw wrong(
      `${origin} holds ${shortened(recipient)}, which is neither an X25519 nor a post-quantum recipient of age`,
      "copy the whole age1… line; recipients of plugins, tags and SSH keys are not supported",
      cause,
    );
  }
}

function checkIdentity(line: string, where: string): string {
  try {
    new Decrypter().addIdentity(line);
    return line;
  } catch {
    // Without its cause, which may quote the secret.
    throw wrong(`${where} is not an X25519 or post-quantum identity of age`, hintForIdentity(line));
  }
}

function hintForIdentity(line: string): string {
  if (line.startsWith("age1")) return "that is a public recipient: the identity starts with AGE-SECRET-KEY-";
  if (line.startsWith("AGE-PLUGIN-")) return "identities of plugins are not supported";
  return "copy the whole line that starts with AGE-SECRET-KEY-";
}

function isHybrid(recipient: string): boolean {
  return recipient.startsWith("age1pq1");
}

/** A recipient as a message names it: post-quantum ones have 1959 characters. */
export function shortened(recipient: string): string {
  return recipient.length <= 80 ? recipient : `${recipient.slice(0, 24)}…`;
}

function wrong(message: string, hint?: string, cause?: unknown): DropsError {
  return new DropsError("key/wrong", message, { hint, cause });
}
