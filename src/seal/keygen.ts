import { createPublicKey, generateKeyPairSync, randomInt } from "node:crypto";
import { join, resolve } from "node:path";
import { generateHybridIdentity, generateX25519Identity, identityToRecipient } from "age-encryption";
import { DropsError, messageOf } from "../lib/errors.ts";
import { writeAllOrNone } from "./new-files.ts";
import type { KeygenReport } from "./report.ts";
import { formatPrivateKey, publicKeyLine } from "./ssh-key.ts";

type KeyFile = KeygenReport["files"][number];

interface NewFile extends KeyFile {
  readonly text: string;
}

const OVERWRITING = "give an empty directory: a lost key makes every backup sealed to it unreadable";

/**
 * Make every key of a policy: the recovery identity (recovery-identity.txt, which belongs off the host) with its
 * public half (recovery-recipients.txt), the host's metadata identity (metadata-identity.txt) and its signing key
 * (signing-key, signing-key.pub). All files appear or none does, and none is overwritten.
 *
 * @throws DropsError safety/refused when one of the files exists already, usage/invalid when none can be written there
 */
export async function makeKeys(
  directory: string,
  how: { readonly now: Date; readonly postQuantum?: boolean },
): Promise<KeygenReport> {
  const target = resolve(directory);
  const { files, ...publicHalves } = await newKeys(target, how);
  await writeAllOrNone(target, files, OVERWRITING).catch((cause: unknown) => {
    if (cause instanceof DropsError) throw cause;
    throw new DropsError("usage/invalid", `cannot write keys into ${target}: ${messageOf(cause)}`, { cause });
  });
  const shown = files.map(({ role, path, secret }) => ({ role, path, secret }));
  return { directory: target, files: shown, ...publicHalves };
}

/** A new Ed25519 key: its file as ssh-keygen would write it, without a passphrase, and its public key line. */
export function newSigningKey(comment: string): { readonly privateKey: string; readonly publicKey: string } {
  const { privateKey } = generateKeyPairSync("ed25519");
  const raw = createPublicKey(privateKey).export({ format: "der", type: "spki" }).subarray(-32);
  return {
    privateKey: formatPrivateKey(privateKey, comment, randomInt(2 ** 32)),
    publicKey: `${publicKeyLine(raw)} ${comment}`,
  };
}

async function newKeys(
  directory: string,
  how: { readonly now: Date; readonly postQuantum?: boolean },
): Promise<Omit<KeygenReport, "files" | "directory"> & { readonly files: readonly NewFile[] }> {
  const day = how.now.toISOString().slice(0, 10);
  const generate = how.postQuantum === true ? generateHybridIdentity : generateX25519Identity;
  const recovery = await generate();
  const metadata = await generate();
  const recoveryRecipient = await identityToRecipient(recovery);
  const metadataRecipient = await identityToRecipient(metadata);
  const { privateKey, publicKey: signer } = newSigningKey(`drops-${day}`);
  const created = `# created: ${how.now.toISOString()}`;
  const file = (role: KeyFile["role"], name: string, secret: boolean, lines: readonly string[]): NewFile => {
    return { role, path: join(directory, name), secret, text: `${lines.join("\n")}\n` };
  };
  const files = [
    file("recovery-identity", "recovery-identity.txt", true, [
      "# drops recovery identity: it opens every backup sealed to it. Keep two copies off the host.",
      created,
      `# public key: ${recoveryRecipient}`,
      `# trusted signer: ${signer}`,
      recovery,
    ]),
    file("recovery-recipients", "recovery-recipients.txt", false, [recoveryRecipient]),
    file("metadata-identity", "metadata-identity.txt", true, [
      "# drops metadata identity: it opens file names, sizes and hashes, no contents. It stays on the host.",
      created,
      `# public key: ${metadataRecipient}`,
      metadata,
    ]),
    file("signing-key", "signing-key", true, [privateKey.trimEnd()]),
    file("signer", "signing-key.pub", false, [signer]),
  ];
  return { files, recoveryRecipient, metadataRecipient, signer };
}
