/** The steps of a guided restore, for the runner, the runbook and RECOVERY.md. Data, no code. */

export type StepId =
  | "bootstrap"
  | "fence"
  | "preflight"
  | "stop"
  | "rocksdb"
  | "postgres"
  | "files"
  | "start"
  | "login"
  | "messages";

export interface RestoreStep {
  readonly id: StepId;
  readonly number: number;
  /** What `drops restore` prints when it begins: no full stop. */
  readonly title: string;
  /** What is done, for the person who is asked to say yes. */
  readonly does: string;
  /** What is there when it went well. */
  readonly expected: string;
  /** What to do when it did not. */
  readonly otherwise: string;
  /** What cannot be taken back after this step; undefined: everything can, by `drops rollback`. */
  readonly noReturn?: string;
}

/** In the order in which they are done. Everything up to `restore --finish` can be taken back by `drops rollback`. */
export const STEPS: readonly RestoreStep[] = [
  {
    id: "bootstrap",
    number: 0,
    title: "prepare a new machine before its first boot",
    does: "writes the files that a new machine needs before its first boot into a directory: the SSH host key (sops-nix decrypts all secrets with it), the bundle of the flake, and the gate file that prevents services from starting without data",
    expected: "a directory for nixos-anywhere --extra-files, and the commands that install the machine",
    otherwise:
      "if the host key is missing, add a new key to .sops.yaml and run sops updatekeys with an admin key; if the bundle is missing, use your own copy of the flake",
  },
  {
    id: "fence",
    number: 1,
    title: "make sure that the old machine is off",
    does: "checks that the old address no longer answers, and asks you to confirm: two running bridges split the events of one Slack connection, and two homeservers cannot share one name",
    expected:
      "the old machine does not answer, and you confirm that it is off or that its services are stopped",
    otherwise:
      "switch it off at the provider, or stop and disable its services; then remove its address from the DNS",
  },
  {
    id: "preflight",
    number: 2,
    title: "check that everything needed is there",
    does: "opens the snapshot with the identity, checks its signature, and checks the host: units, roles, locale, versions, free space for a second copy, clock. Changes nothing",
    expected: "every check is ok",
    otherwise: "follow the hint of each check that is not ok, then run drops restore --resume",
  },
  {
    id: "stop",
    number: 3,
    title: "gate and stop the services",
    does: "creates the gate, so that no unit starts by itself, notes the active units, and stops them in reverse order",
    expected: "every unit of the policy is inactive, also after a reboot",
    otherwise:
      "read systemctl status UNIT and journalctl -u UNIT, stop what keeps it running, then run drops restore --resume",
  },
  {
    id: "rocksdb",
    number: 4,
    title: "restore RocksDB and the files in its directory",
    does: "restores the database and its media next to the live directory, verifies them, writes them to disk, and swaps the directories by renaming. Keeps the old directory",
    expected: "the database is in place, as captured; the old directory is next to it in .drops-restore-RUN",
    otherwise:
      "drops swaps in verified data only: drops restore --resume continues, drops rollback returns to the old data",
  },
  {
    id: "postgres",
    number: 5,
    title: "restore PostgreSQL",
    does: "loads the dump into a new database as its owner, compares every count and digest with the snapshot, and swaps the two databases in one transaction. Keeps the old database under another name",
    expected: "counts and digests match the snapshot; the old database is kept as NAME_before_RUN",
    otherwise:
      "drops swaps in a database only if it matches: drops restore --resume continues, drops rollback returns to the old data",
  },
  {
    id: "files",
    number: 6,
    title: "restore registrations, bridge state and all other files",
    does: "restores the paths next to the live ones, checks that the registration, the bridge's configuration and the homeserver's database have the same tokens, and swaps the paths. Keeps the old ones",
    expected: "the paths are in place with owner, mode and times as captured, and the tokens match",
    otherwise:
      "never generate a new registration (-g), because its tokens match nothing. Restore all sources from one date; drops rollback returns to the old data",
  },
  {
    id: "start",
    number: 7,
    title: "remove the gate and start the services",
    does: "removes the gate, starts the units in order, and waits until each is ready",
    expected: "every unit is active and stays active, and units with an address answer",
    otherwise:
      "read the exit code and log lines that drops shows, and journalctl -u UNIT; drops restore --resume tries again, drops rollback returns to the old data",
  },
  {
    id: "login",
    number: 8,
    title: "check that the bridge is still logged in",
    does: "explains how to check the restored login, and what to do if it does not work. Changes nothing",
    expected: "the bridge logs that it is connected; nobody has to log in",
    otherwise:
      "only then, type login app in the chat with the bridge's bot: the tokens may have been revoked since the backup",
  },
  {
    id: "messages",
    number: 9,
    title: "check that messages arrive",
    does: "runs the policy's checks, then asks the questions of the policy's checklist, and writes the answers to the journal",
    expected: "every check is ok, and you answered every question with yes",
    otherwise:
      "write down what is wrong, then repair it or run drops rollback; old data is kept until drops restore --finish",
  },
];

/** What ends a restore, after the last step. */
export const FINISH: Omit<RestoreStep, "id" | "number"> = {
  title: "remove the old data",
  does: "drops restore --finish removes the old data and the directories of the run; the journal stays",
  expected: "only the restored data is left; next, run drops backup",
  otherwise:
    "run drops restore --finish again: it continues. If it lists a file that exists only in the old data, move that file to its place first",
  noReturn: "the old data is deleted, and drops rollback is no longer possible",
};

/** @throws RangeError for what is no step */
export function stepOf(id: StepId): RestoreStep {
  const step = STEPS.find((each) => each.id === id);
  if (!step) throw new RangeError(`no step ${id}`);
  return step;
}

/** The ids of the steps that put data in place, and of what kind of source: what lies in a RocksDB directory goes with it. */
export const DATA_STEPS = ["rocksdb", "postgres", "files"] as const satisfies readonly StepId[];
export type DataStepId = (typeof DATA_STEPS)[number];

/** Whether a step puts data in place. */
export function isDataStep(id: StepId): id is DataStepId {
  return DATA_STEPS.some((step) => step === id);
}
