import { execFileSync } from "node:child_process";
import { hash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rename, rm } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { inflateSync } from "node:zlib";

/** One file of the age test kit of C2SP's CCTV: https://github.com/C2SP/CCTV/tree/main/age */
export interface AgeVector {
  readonly name: string;
  readonly expect: string;
  readonly identities: readonly string[];
  readonly usesPassphrase: boolean;
  readonly isArmored: boolean;
  /** SHA-256 of the plaintext, where there is any. */
  readonly payload: string | undefined;
  /** Hex. */
  readonly fileKey: string | undefined;
  readonly file: Buffer;
}

const PACKAGE = "cctv-age";
const VERSION = "0.2.0";
/** What the npm registry says of this version, as in a package-lock.json. */
const SHA512 = "1fiGAaWr+snqgu8+uCC7qPeApAuueOESET2npKe0FVLY+Huf+Kkia89Rybx/uoGNCml31SgAjiQIeFOY4K3New==";

/** The whole kit, fetched from npm once and kept outside the checkout. */
export async function ageVectors(): Promise<readonly AgeVector[]> {
  const dir = await mkdtemp(join(tmpdir(), "drops-age-vectors-"));
  try {
    execFileSync("tar", ["-xzf", await fetched(), "-C", dir]);
    const module: unknown = await import(pathToFileURL(join(dir, "package", "index.js")).href);
    if (typeof module !== "object" || module === null) throw new TypeError(`${PACKAGE} is no module`);
    return Object.entries(module).map(([name, bytes]) => parse(name, Buffer.from(bytes)));
  } finally {
    await rm(dir, { recursive: true });
  }
}

async function fetched(): Promise<string> {
  const cache = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "drops-test");
  const name = `${PACKAGE}-${VERSION}.tgz`;
  const kept = join(cache, name);
  if (!existsSync(kept)) {
    await mkdir(cache, { recursive: true });
    const dir = await mkdtemp(join(cache, "fetch-"));
    execFileSync("npm", ["pack", "--silent", `${PACKAGE}@${VERSION}`], { cwd: dir });
    await rename(join(dir, name), kept);
    await rm(dir, { recursive: true });
  }
  if (hash("sha512", await readFile(kept), "base64") !== SHA512) {
    throw new Error(`${kept} is not the package that the tests expect: remove it`);
  }
  return kept;
}

function parse(name: string, bytes: Buffer): AgeVector {
  const split = bytes.indexOf("\n\n");
  const lines = bytes
    .subarray(0, split)
    .toString()
    .split("\n")
    .map((line) => /^([^:]+): ?(.*)$/.exec(line) ?? []);
  const all = (key: string) => lines.filter((line) => line[1] === key).map((line) => line[2] ?? "");
  const file = bytes.subarray(split + 2);
  return {
    name,
    expect: all("expect")[0] ?? "",
    identities: all("identity"),
    usesPassphrase: all("passphrase").length > 0,
    isArmored: all("armored")[0] === "yes",
    payload: all("payload")[0],
    fileKey: all("file key")[0],
    file: all("compressed")[0] === "zlib" ? inflateSync(file) : file,
  };
}
