import type { FailureCode } from "../lib/errors.ts";

/**
 * What to do about a failure of which nothing better was said where it happened: the next command to type, or to look
 * at. Of an interruption the person knows.
 */
export const GENERAL_HINTS: Readonly<Record<Exclude<FailureCode, "interrupted">, string>> = {
  "usage/invalid": "drops --help",
  "policy/invalid": "drops policy check",
  "backup/partial": "drops show latest says which source failed, and why",
  "repository/missing": "drops policy show  tells where it was looked for; drops init makes one",
  "snapshot/missing": "drops snapshots",
  "store/unavailable": "drops doctor  tries the store; the same command again once it answers",
  "store/refused": "drops iam writer  prints what the credential must be allowed",
  "store/missing": "drops verify says what else is missing",
  "store/exists":
    "nothing was overwritten: look at that object, and remove it if it is no good; then the same command again",
  "host/unreachable": "drops doctor  tries the host; the same command again once it answers",
  "host/key-mismatch":
    "compare with what the server's console shows, then correct host.ssh.host_key or known_hosts",
  "host/login-refused": "try  ssh -i KEY USER@ADDRESS true  as the user that runs drops",
  "host/command-failed": "run the command that is named on the host, as the user that is named",
  "source/failed": "the same command again; if it stays so, drops backup --source NAME for this source alone",
  "source/incomplete":
    "let the user who logs in read them, or name them under `exclude`; after an I/O error look at the disk",
  "key/missing": "drops policy show  tells where keys are looked for",
  "key/wrong": "drops policy show  tells which keys are used",
  "signature/untrusted":
    "--trusted-signer with the public key that was noted with the recovery identity; --trust-unsigned believes anyone",
  "data/damaged": "drops verify --read-data  says what is damaged and which snapshots are whole",
  "data/missing": "drops verify says what is missing and which snapshots are whole",
  "drill/unproven": "drops drill --keep  leaves what was restored to look at",
  "doctor/not-well": "drops doctor",
  "status/not-green": "drops status",
  "notify/unreachable": "drops notify test  tells each place again, once it answers",
  "notify/refused": "correct it in the policy's notify, then  drops notify test",
  "format/unsupported": "a newer drops reads it; drops --version  tells which this is",
  "repository/exists":
    "choose another prefix or directory for a new repository; this one is used with drops backup",
  "safety/refused": "nothing was changed: drops COMMAND --help says what can be accepted, and how",
  "space/low": "make room, then the same command again",
  "clock/skewed": "set the clock (timedatectl), then the same command again",
};
