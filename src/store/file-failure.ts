import { DropsError, type FailureCode, messageOf, systemCode } from "../lib/errors.ts";

const MEANINGS: Readonly<Record<string, { code: FailureCode; why: string; hint: string }>> = {
  ENOSPC: { code: "space/low", why: "the file system is full", hint: "look at the free space: df -h" },
  EDQUOT: { code: "space/low", why: "the quota is used up", hint: "look at the quota: quota -s" },
  EACCES: { code: "store/refused", why: "permission denied", hint: "check its owner and mode: ls -ld" },
  EPERM: {
    code: "store/refused",
    why: "not permitted",
    hint: "check its owner and attributes: ls -ld, lsattr -d",
  },
  EROFS: {
    code: "store/refused",
    why: "the file system is read-only",
    hint: "look at the mount: findmnt -T",
  },
  ELOOP: {
    code: "data/damaged",
    why: "it is a symlink, which a repository never holds",
    hint: "look at it: ls -l",
  },
  ENOTDIR: { code: "data/damaged", why: "a file is where a directory belongs", hint: "look at it: ls -l" },
  EISDIR: { code: "data/damaged", why: "a directory is where a file belongs", hint: "look at it: ls -l" },
};

/** `doing` is the start of the sentence, such as `reading x in y`. What is a DropsError already is returned as it is. */
export function fileFailure(error: unknown, doing: string): unknown {
  const code = systemCode(error);
  if (code === undefined || error instanceof DropsError) return error;
  const known = MEANINGS[code];
  if (known) return new DropsError(known.code, `${doing}: ${known.why}`, { hint: known.hint, cause: error });
  return new DropsError("store/unavailable", `${doing}: ${messageOf(error)}`, {
    hint: "look at the kernel's log: dmesg | tail",
    cause: error,
  });
}

/** The directory of a store is gone: store/unavailable. */
export function notThere(path: string, cause: unknown): DropsError {
  return new DropsError("store/unavailable", `${path} is not there`, {
    hint: "check that its disk is mounted; make a new repository with: drops init",
    cause,
  });
}
