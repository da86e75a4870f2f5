import { fingerprint } from "../seal/sshsig.ts";
import { type Signers, shortTime } from "../trust/signers-file.ts";
import { facts, type Piece } from "./document.ts";

type Row = readonly [name: string, value: string];

/** Whom to believe, on the sheet. One key stands here whole; several a line each: block 5 has them whole, one page has no room for both. */
export function signerPieces({ signers, revoked }: Signers): Piece[] {
  const [only] = signers;
  if (only !== undefined && signers.length === 1 && revoked.length === 0) {
    return [facts(["signer", only], ["fingerprint", fingerprint(only)])];
  }
  return [
    facts(
      ...signers.map((key): Row => ["signer", fingerprint(key)]),
      ...revoked.map(
        ({ key, before }): Row => ["revoked", `${fingerprint(key)}, trusted before ${shortTime(before)}`],
      ),
    ),
  ];
}

/** Whom to believe, in the runbook. */
export function signerRows({ signers, revoked }: Signers): Row[] {
  return [
    ...signers.map((key): Row => ["signer", key]),
    ...revoked.map(
      ({ key, before }): Row => ["revoked signer", `${key}, trusted before ${shortTime(before)}`],
    ),
  ];
}
