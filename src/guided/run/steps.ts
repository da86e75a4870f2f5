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
    title: "prepare a machine that does not exist yet",
    does: "writes what a new machine needs before its first boot into a directory: the SSH host key (sops-nix decrypts every secret with it), the bundle of the flake, and the gate file that keeps the services from starting empty",
    expected: "a directory for nixos-anywhere --extra-files, and the commands to install the machine with",
    otherwise:
      "without the host key, add a new key to .sops.yaml and run sops updatekeys with an admin key; without the bundle, take the flake from where it is developed",
  },
  {
    id: "fence",
    number: 1,
    title: "make sure that the old machine is off",
    does: "looks whether the old address still answers, and asks a person: two bridges share one Slack connection's events, and two homeservers federate under one name",
    expected:
      "the old machine does not answer, and a person says that it is off or that its services are stopped",
    otherwise:
      "switch it off at the provider, or stop and disable its services; then take its address out of the DNS",
  },
  {
    id: "preflight",
    number: 2,
    title: "look whether everything that is needed is there",
    does: "opens the snapshot with the identity, checks its signature, and looks at the host: units, roles, locale, versions, free space for a second copy, clock. Changes nothing",
    expected: "every check is ok",
    otherwise: "each check that is not ok says what to do; then drops restore --resume",
  },
  {
    id: "stop",
    number: 3,
    title: "gate and stop the services",
    does: "puts the gate in place, so that no unit starts by itself, notes which units are active, and stops them in the reverse of their starting order",
    expected: "every unit of the policy is inactive and stays so, also after a reboot",
    otherwise:
      "look at systemctl status UNIT and journalctl -u UNIT; stop what holds it; drops restore --resume",
  },
  {
    id: "rocksdb",
    number: 4,
    title: "restore RocksDB, and what lies in its directory",
    does: "brings the database and its media beside the live directory, verifies them, writes them to disk, and swaps the directories by renaming. The old one is kept aside",
    expected:
      "the database is in place and as captured; the old directory lies beside it in .drops-restore-RUN",
    otherwise:
      "nothing was swapped that was not verified: drops restore --resume goes on, drops rollback puts the old back",
  },
  {
    id: "postgres",
    number: 5,
    title: "restore PostgreSQL",
    does: "loads the dump into a new database as its owner, compares every count and digest with the snapshot, and swaps the two databases in one transaction. The old one is kept under another name",
    expected: "counts and digests are those of the snapshot; the old database is kept as NAME_before_RUN",
    otherwise:
      "nothing was swapped that differs: drops restore --resume goes on, drops rollback puts the old back",
  },
  {
    id: "files",
    number: 6,
    title: "restore registrations, bridge state and all other files",
    does: "brings the paths beside the live ones, checks that the tokens in the registration, in the bridge's configuration and in the homeserver's database are the same, and swaps. The old ones are kept aside",
    expected: "the paths are in place with owner, mode and times as captured, and the tokens fit together",
    otherwise:
      "never generate a new registration (-g): it makes tokens that fit nothing. Sources of one date fit together; drops rollback puts the old back",
  },
  {
    id: "start",
    number: 7,
    title: "remove the gate and start the services",
    does: "removes the gate, starts the units in order and waits until each is ready",
    expected: "every unit is active, those with an address answer, and all stay up",
    otherwise:
      "the unit's exit code and its last lines are shown with what they mean; journalctl -u UNIT says more; drops restore --resume tries again, drops rollback puts the old back",
  },
  {
    id: "login",
    number: 8,
    title: "look whether the bridge is still logged in",
    does: "says how to tell whether the restored login works, and what to do only if it does not. Changes nothing by itself",
    expected: "the bridge says that it is connected; nobody has to log in",
    otherwise:
      "in the chat with the bridge's bot: login app, only now; the tokens may have been revoked meanwhile",
  },
  {
    id: "messages",
    number: 9,
    title: "look whether messages flow",
    does: "runs the policy's checks, then asks the policy's checklist; the answers are kept in the journal",
    expected: "every check is ok and every item of the checklist is answered with yes",
    otherwise:
      "note what is wrong and decide: repair it, or drops rollback; old data is kept until drops restore --finish",
  },
];

/** What ends a restore, after the last step. */
export const FINISH: Omit<RestoreStep, "id" | "number"> = {
  title: "remove the old data",
  does: "drops restore --finish removes the old data that was kept aside, and the run's directories; the journal stays",
  expected: "only the restored data is left; run drops backup",
  otherwise:
    "drops restore --finish again: it goes on where it was. When it names something that only the old data holds, move that to its place first",
  noReturn: "the old data is gone: drops rollback is no longer possible",
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
