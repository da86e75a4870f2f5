import { DropsError } from "../lib/errors.ts";
import { readText } from "../lib/read-at-most.ts";
import { parseSigners, type Signers } from "./signers-file.ts";

/** Of each a line, or a file of them, as `--trusted-signer` takes it. Throws key/missing, key/wrong. */
export async function signersGiven(linesOrFiles: readonly string[]): Promise<Signers> {
  const all = await Promise.all(linesOrFiles.map(signersIn));
  return {
    signers: all.flatMap(({ signers }) => signers),
    revoked: all.flatMap(({ revoked }) => revoked),
  };
}

async function signersIn(lineOrFile: string): Promise<Signers> {
  if (/^(ssh-ed25519|revoked) /.test(lineOrFile)) return parseSigners(lineOrFile, "--trusted-signer");
  const text = await readText(lineOrFile).catch((cause: unknown) => {
    throw new DropsError("key/missing", `cannot read the trusted signer ${lineOrFile}`, {
      hint: "give a file, or the whole line: ssh-ed25519 AAAA…",
      cause,
    });
  });
  return parseSigners(text, `the trusted signer ${lineOrFile}`);
}
