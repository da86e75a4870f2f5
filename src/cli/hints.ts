import type { FailureCode } from "../lib/errors.ts";

/**
 * What to do about a failure of which nothing better was said where it happened: the next command to type, or to look
 * at. Of an interruption the person knows.
 */
export const GENERAL_HINTS: Readonly<Record<Exclude<FailureCode, "interrupted">, string>> = {
  "usage/invalid": "drops --help",
  "policy/invalid": "drops policy check",
  "backup/partial": "drops show latest  shows which source failed, and why",
  "repository/missing": "drops policy show  shows the store of the policy; drops init  makes a repository",
  "snapshot/missing": "drops snapshots",
  "store/unavailable": "drops doctor  tests the store; run the command again when it answers",
  "store/refused": "drops iam writer  prints the permissions that the credential needs",
  "store/missing": "drops verify  lists other missing objects",
  "store/exists":
    "nothing was overwritten: look at that object, remove it if it is bad, then run the command again",
  "host/unreachable": "drops doctor  tests the host; run the command again when it answers",
  "host/key-mismatch":
    "compare with the key on the server's console, then correct host.ssh.host_key or known_hosts",
  "host/login-refused": "try  ssh -i KEY USER@ADDRESS true  as the user that runs drops",
  "host/command-failed": "run that command on the host, as that user",
  "source/failed":
    "run the command again; if it fails again, back up only this source: drops backup --source NAME",
  "source/incomplete":
    "give the user who logs in read permission, or add the files to `exclude`; after an I/O error check the disk",
  "key/missing": "drops policy show  shows the key files of the policy",
  "key/wrong": "drops policy show  shows the keys in use",
  "signature/untrusted":
    "use --trusted-signer with the public key on the recovery sheet; --trust-unsigned accepts any writer",
  "data/damaged": "drops verify --read-data  lists the damage and the whole snapshots",
  "data/missing": "drops verify  lists missing objects and whole snapshots",
  "drill/unproven": "drops drill --keep  keeps the restored data, so that you can look at it",
  "doctor/not-well": "drops doctor",
  "status/not-green": "drops status",
  "notify/unreachable": "drops notify test  sends a test alert to each channel",
  "notify/refused": "correct notify in the policy, then run drops notify test",
  "format/unsupported": "use a newer version of drops; drops --version  shows this version",
  "repository/exists":
    "use another prefix or directory for a new repository; to use this one, run drops backup",
  "safety/refused": "nothing was changed: drops COMMAND --help  lists the options that accept risks",
  "space/low": "free some space, then run the command again",
  "clock/skewed": "set the clock (timedatectl), then run the command again",
};
