import { hash } from "node:crypto";
import { join } from "node:path";
import { DropsError } from "../lib/errors.ts";
import { ownDirectory } from "../lib/own-directory.ts";
import { writeWhole } from "../lib/write-whole.ts";
import { EVIDENCE_NAMESPACE, fingerprint, type Signer } from "../seal/sshsig.ts";
import { keyTime } from "../store/keys.ts";
import type { EarlierEvidence } from "./earlier-evidence.ts";
import { type Evidence, encodeEvidence } from "./evidence.ts";
import { junitOf } from "./junit.ts";
import { pageOf } from "./page.ts";

export interface WrittenEvidence {
  readonly json: string;
  readonly signature: string;
  readonly junit: string;
  readonly page: string;
}

/**
 * The real path of a directory for evidence, made where it is missing. Throws as `ownDirectory`.
 */
export function openEvidenceDirectory(wanted: string): Promise<string> {
  return ownDirectory(wanted, { make: 0o755, instead: INSTEAD });
}

const INSTEAD = "--evidence DIRECTORY, one that this user may write";

/**
 * Sign evidence and write it with its JUnit and its page: each file appears whole, the signature before what it signs.
 * `index.html` and `junit.xml` are the newest page and report under a name that stays.
 *
 * @throws DropsError usage/invalid when the directory cannot be written
 */
export async function writeEvidence(
  directory: string,
  evidence: Evidence,
  how: { readonly signer: Signer; readonly earlier: readonly EarlierEvidence[]; readonly zone: string },
): Promise<WrittenEvidence> {
  const at = await openEvidenceDirectory(directory);
  const bytes = encodeEvidence(evidence);
  const base = join(at, `${keyTime(new Date(evidence.ended))}-${evidence.id}`);
  const page = Buffer.from(
    pageOf(evidence, {
      earlier: how.earlier,
      zone: how.zone,
      sha256: hash("sha256", bytes, "hex"),
      signer: fingerprint(how.signer.publicKey),
    }),
  );
  const junit = Buffer.from(junitOf(evidence));
  const written: WrittenEvidence = {
    json: `${base}.json`,
    signature: `${base}.json.sig`,
    junit: `${base}.junit.xml`,
    page: `${base}.html`,
  };
  try {
    await writeWhole(written.signature, how.signer.sign(EVIDENCE_NAMESPACE, bytes));
    await writeWhole(written.json, bytes);
    await writeWhole(written.junit, junit);
    await writeWhole(written.page, page);
    await writeWhole(join(at, "junit.xml"), junit);
    await writeWhole(join(at, "index.html"), page);
  } catch (cause) {
    if (!(cause instanceof Error && "code" in cause)) throw cause;
    throw new DropsError("usage/invalid", `cannot write evidence into ${at}: ${String(cause.code)}`, {
      hint: INSTEAD,
      cause,
    });
  }
  return written;
}
