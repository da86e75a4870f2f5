import type { SheetReport } from "../../paper/report.ts";
import type { KeygenReport } from "../../seal/report.ts";
import type { Paint } from "../screen.ts";
import { notes, table } from "./format.ts";

const ROLES: Readonly<Record<KeygenReport["files"][number]["role"], string>> = {
  "recovery-identity": "SECRET: opens everything. Move it off this machine, keep two copies",
  "recovery-recipients": "public: the policy's keys.recovery_recipients_file",
  "metadata-identity": "secret, stays here: keys.metadata_identity_file",
  "signing-key": "secret, stays here: keys.signing_key_file",
  signer: "public: keep it with the recovery identity, restores need it",
};

export function keygenInWords(report: KeygenReport, paint: Paint): string {
  const rows = report.files.map(({ path, role }) => [path, ROLES[role]]);
  return [
    table(["file", "what it is for"], rows, { width: paint.width }),
    "",
    paint.bold(
      "Without the recovery identity nobody can read the backups. Print it, or store two copies, now.",
    ),
  ].join("\n");
}

export function sheetInWords(report: SheetReport, paint: Paint): string {
  return [
    `the recovery sheet of ${report.policy}:`,
    ...report.files.map((file) => `  ${file}`),
    "",
    paint.bold("Each file has the recovery identity unencrypted: whoever reads it can read every backup."),
    "Open the .html file in a browser, print it (one A4 page, twice), write the accounts on it,",
    `put the paper into a safe, and delete the files: shred -u ${report.files.join(" ")}`,
    "",
    `recover.sh  SHA-256 ${report.script}${report.scriptInStore ? ", in the store" : ""}`,
    `repository  ${report.repositoryId ?? "not known"}`,
    ...report.signers.map(
      ({ fingerprint, before }) =>
        `signer      ${fingerprint}${before === undefined ? "" : `, revoked: trusted before ${before}`}`,
    ),
    ...notes(report.notes),
  ].join("\n");
}
