import type { KeygenReport } from "../outputs.ts";
import type { Paint } from "../screen.ts";
import { table } from "./format.ts";

const ROLES: Readonly<Record<KeygenReport["files"][number]["role"], string>> = {
  "recovery-identity": "SECRET: opens everything. Move it off this machine, keep two copies",
  "recovery-recipients": "public: the policy's keys.recovery_recipients_file",
  "metadata-identity": "secret, stays here: keys.metadata_identity_file",
  "signing-key": "secret, stays here: keys.signing_key_file",
  signer: "public: note it with the recovery identity, restores ask for it",
};

export function keygenInWords(report: KeygenReport, paint: Paint): string {
  const rows = report.files.map(({ path, role }) => [path, ROLES[role]]);
  return [
    table(["file", "what it is for"], rows),
    "",
    paint.bold("Without the recovery identity no backup can ever be read. Print it, or store it twice, now."),
  ].join("\n");
}
