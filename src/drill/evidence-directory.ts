import { hash, randomBytes } from "node:crypto";
import { mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { DropsError, isFailure } from "../lib/errors.ts";
import { EVIDENCE_NAMESPACE, fingerprint, type Signer } from "../seal/sshsig.ts";
import { decodeDocument } from "../snapshot/canonical-json.ts";
import { type Trust, trustedSigner } from "../snapshot/trust.ts";
import { keyTime } from "../store/keys.ts";
import { Evidence, encodeEvidence } from "./evidence.ts";
import { junitOf } from "./junit.ts";
import { pageOf } from "./page.ts";

const NAME = /^(\d{8}T\d{6}Z)-([0-9a-f]{16})\.json$/;
/** So many of the newest are looked at: two years of weekly drills. */
const MOST = 104;
const LARGEST = 8 * 1024 * 1024;
const LARGEST_SIGNATURE = 4096;

/** Evidence of an earlier drill that was found, and whether it can be believed. */
export type EarlierEvidence =
  | {
      readonly file: string;
      readonly evidence: Evidence;
      readonly sha256: string;
      readonly refused?: undefined;
    }
  | { readonly file: string; readonly refused: string };

export interface WrittenEvidence {
  readonly json: string;
  readonly signature: string;
  readonly junit: string;
  readonly page: string;
}

/**
 * What earlier drills of the same policy and repository left in a directory, newest first. Evidence that was changed, or
 * that no trusted key signed, is there as refused and never as evidence.
 */
export async function readEvidence(
  directory: string,
  of: { readonly repository: string; readonly policy: string },
  trust: Trust,
): Promise<EarlierEvidence[]> {
  const names = (await readdir(directory).catch(absentIsEmpty)).filter((name) => NAME.test(name));
  const found: EarlierEvidence[] = [];
  for (const name of names.sort().reverse().slice(0, MOST)) {
    const one = await readOne(directory, name, trust);
    const isOther =
      "evidence" in one && (one.evidence.repository !== of.repository || one.evidence.policy !== of.policy);
    if (!isOther) found.push(one);
  }
  return found;
}

/** The newest that is believed: the one that new evidence names as the one before it. */
export function newestOf(earlier: readonly EarlierEvidence[]): string | undefined {
  return earlier.find((one) => one.refused === undefined)?.sha256;
}

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
  const at = resolve(directory);
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
    await mkdir(at, { recursive: true });
    await put(written.signature, how.signer.sign(EVIDENCE_NAMESPACE, bytes));
    await put(written.json, bytes);
    await put(written.junit, junit);
    await put(written.page, page);
    await put(join(at, "junit.xml"), junit);
    await put(join(at, "index.html"), page);
  } catch (cause) {
    if (!(cause instanceof Error && "code" in cause)) throw cause;
    throw new DropsError("usage/invalid", `cannot write evidence into ${at}: ${String(cause.code)}`, {
      hint: "--evidence DIRECTORY, one that this user may write",
      cause,
    });
  }
  return written;
}

async function readOne(directory: string, name: string, trust: Trust): Promise<EarlierEvidence> {
  try {
    const bytes = await readBounded(join(directory, name), LARGEST);
    const signature = await readBounded(join(directory, `${name}.sig`), LARGEST_SIGNATURE).catch(
      () => undefined,
    );
    trustedSigner(name, EVIDENCE_NAMESPACE, bytes, signature, trust);
    const evidence = decodeDocument(bytes, Evidence, name);
    const [, time, id] = NAME.exec(name) ?? [];
    if (evidence.id !== id || keyTime(new Date(evidence.ended)) !== time) {
      return { file: name, refused: `${name} is evidence of another drill` };
    }
    return { file: name, evidence, sha256: hash("sha256", bytes, "hex") };
  } catch (error) {
    if (isFailure(error)) return { file: name, refused: error.message };
    if (error instanceof Error && "code" in error) return { file: name, refused: `${name} cannot be read` };
    throw error;
  }
}

async function readBounded(path: string, most: number): Promise<Buffer> {
  await using file = await open(path, "r");
  const { size } = await file.stat();
  if (size > most) throw new DropsError("data/damaged", `${path} is too large`);
  return file.readFile();
}

/** Visible whole or not at all, also after a power cut. */
async function put(path: string, bytes: Uint8Array): Promise<void> {
  const partial = `${path}.${randomBytes(4).toString("hex")}.partial`;
  try {
    await using file = await open(partial, "wx", 0o644);
    await file.writeFile(bytes);
    await file.sync();
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
}

function absentIsEmpty(error: NodeJS.ErrnoException): string[] {
  if (error.code === "ENOENT") return [];
  throw new DropsError(
    "usage/invalid",
    `cannot read the evidence directory: ${error.code ?? error.message}`,
    { cause: error },
  );
}
