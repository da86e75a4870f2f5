import { isLow, spaceInWords } from "../lib/space.ts";
import { counted, rough, someOf } from "../lib/words.ts";
import {
  CONCERNS,
  type Concern,
  type ConcernKind,
  type Facts,
  type SourceStatus,
  type State,
} from "./report.ts";

const DRILL = "drops drill --identity FILE --evidence DIRECTORY --publish";
const BACKUP = "drops backup";
const VERIFY = "drops verify --routine";
const VERIFY_ALL =
  "drops verify --read-data --publish  marks the damage; the next drops backup stores the data again";
const MOST_TEXT = 300;

/** Which state a concern of a kind makes. */
const MAKES: Readonly<Record<ConcernKind, State>> = {
  "no-snapshot": "broken",
  damaged: "broken",
  "verify-damaged": "broken",
  description: "broken",
  unreadable: "broken",
  quarantined: "broken",
  clock: "broken",
  late: "late",
  failed: "late",
  uncovered: "late",
  space: "unproven",
  "drill-failed": "unproven",
  "drill-overdue": "unproven",
  "verify-overdue": "unproven",
  "never-drilled": "amber",
  "never-verified": "amber",
  "recovery-key": "amber",
};

/** Everything that keeps a status from being green, worst first, each in one sentence. */
export function concernsOf(facts: Facts): Concern[] {
  const found = [
    ...storeConcerns(facts),
    ...coverageConcerns(facts),
    ...spaceConcerns(facts),
    ...drillConcerns(facts),
    ...verifyConcerns(facts),
    ...untried(facts),
  ];
  return found.sort((a, b) => CONCERNS.indexOf(a.kind) - CONCERNS.indexOf(b.kind));
}

export function stateOf(concerns: readonly Concern[]): State {
  const states = new Set(concerns.map(({ kind }) => MAKES[kind]));
  for (const state of ["broken", "late", "unproven", "amber"] as const) if (states.has(state)) return state;
  return "green";
}

function storeConcerns({
  snapshots,
  unreadable,
  restore,
  clock,
  descriptionLost,
  ...facts
}: Facts): Concern[] {
  const found: Concern[] = [];
  const damaged = snapshots.filter(({ standing }) => standing === "damaged");
  if (restore.newest === undefined) found.push(noSnapshot(facts, damaged.length > 0));
  if (damaged.length > 0) {
    const what = `objects are missing or damaged: ${ids(damaged)} cannot be restored whole`;
    found.push({ kind: "damaged", what, hint: "drops verify" });
  }
  if (descriptionLost) {
    found.push({
      kind: "description",
      what: "repository.json is lost or damaged; restores still work, backups do not",
      hint: "drops verify",
    });
  }
  if (unreadable.length > 0) {
    const names = someOf(
      unreadable.map(({ key }) => key),
      { most: 3 },
    );
    const what = `${counted(unreadable.length, "record")} cannot be read or trusted: ${names}`;
    found.push({ kind: "unreadable", what, hint: "drops snapshots, and check who can write to the store" });
  }
  const quarantined = snapshots.filter(({ standing }) => standing === "quarantined");
  if (quarantined.length > 0) {
    const { id = "", why = "" } = quarantined.at(-1) ?? {};
    const what = `${ids(quarantined)} in quarantine, not used unless named: ${why}`;
    const hint = `drops show ${id}; once you know where it comes from, drops withdraw ${id} --why WORDS`;
    found.push({ kind: "quarantined", what, hint });
  }
  const { skewSeconds: skew, allowedSeconds } = clock;
  if (Math.abs(skew) > allowedSeconds) {
    const direction = skew > 0 ? "ahead of" : "behind";
    const what = `this machine's clock is ${rough(Math.abs(skew))} ${direction} the store's, ${rough(allowedSeconds)} are allowed`;
    found.push({ kind: "clock", what, hint: "timedatectl timesync-status" });
  }
  return found;
}

function noSnapshot({ failing }: Pick<Facts, "failing">, isDamaged: boolean): Concern {
  const what = "nothing can be restored: there is no complete, undamaged, trusted snapshot";
  const hint = isDamaged ? "drops verify" : (failing?.hint ?? BACKUP);
  return { kind: "no-snapshot", what: `${what}${because(failing)}`, hint };
}

/** In the words of the alert, of a backup that fails on this machine. */
export function failingInWords({ ageSeconds, message }: NonNullable<Facts["failing"]>): string {
  return `drops backup has failed on this machine for ${rough(ageSeconds)}: ${short(message)}`;
}

function because(failing: Facts["failing"]): string {
  return failing ? `; ${failingInWords(failing)}` : "";
}

function coverageConcerns({ restore, sources, failing }: Facts): Concern[] {
  const { newest, rpoSeconds } = restore;
  const found: Concern[] = [];
  const allowed = `${rough(rpoSeconds)} are allowed (rpo)`;
  if (newest && newest.ageSeconds > rpoSeconds) {
    const what = `the newest restore point is ${rough(newest.ageSeconds)} old, ${allowed}${because(failing)}`;
    found.push({ kind: "late", what, hint: failing?.hint ?? BACKUP });
  }
  const wanted = sources.filter(({ inPolicy }) => inPolicy);
  for (const source of wanted) {
    const { name, failed } = source;
    if (failed) found.push(failedSource(name, failed));
    if (!source.newest) {
      found.push({ kind: "uncovered", what: `no snapshot holds ${name}`, hint: BACKUP });
    } else if (isLateAlone(source, restore)) {
      const what = `${name} was last captured ${rough(source.newest.ageSeconds)} ago, ${allowed}`;
      found.push({ kind: "late", what, hint: `${BACKUP} --source ${name}` });
    }
  }
  return found;
}

/** Nothing is lost yet: whether the next backup has room is in doubt. */
function spaceConcerns({ space }: Facts): Concern[] {
  const low = space.filter(isLow).map(spaceInWords);
  if (low.length === 0) return [];
  const hint = "make room there, or give it a larger disk: a backup that has no room fails";
  return [{ kind: "space", what: `a disk is nearly full: ${someOf(low, { most: 3 })}`, hint }];
}

function failedSource(name: string, { message, stored }: NonNullable<SourceStatus["failed"]>): Concern {
  const outcome = stored ? "is incomplete" : "failed";
  const what = `${name} ${outcome} in the last backup that tried it: ${short(message)}`;
  const hint = `drops doctor --only sources  shows what to do; then ${BACKUP} --source ${name}`;
  return { kind: "failed", what, hint };
}

/** Where the newest restore point is late itself, its sources need not be named one by one. */
function isLateAlone({ newest }: SourceStatus, { newest: point, rpoSeconds }: Facts["restore"]): boolean {
  if (newest === undefined || newest.ageSeconds <= rpoSeconds) return false;
  return point === undefined || point.ageSeconds <= rpoSeconds;
}

/** Whoever drills once is held to it; never to have drilled is no failure, see `untried`. */
function drillConcerns({ drills }: Facts): Concern[] {
  const { last, proven, everySeconds, count, newestRefused, refused } = drills;
  if (newestRefused) {
    const what = `the newest evidence of a drill is not trusted: ${short(refused[0]?.why ?? "")}`;
    return [
      {
        kind: "drill-failed",
        what,
        hint: "--trusted-signer KEY of the drills, or prune.drill_signers in the policy",
      },
    ];
  }
  if (count === 0 || last === undefined) return [];
  const found: Concern[] = [];
  if (last.verdict !== "proven") {
    const { verdict, passed, checks, failed } = last;
    const why = failed ? `; ${failed.check}: ${short(failed.found)}` : "";
    const what = `the last drill ended as ${verdict}: ${passed} of ${checks} checks passed${why}`;
    const hint = verdict === "damaged" ? VERIFY_ALL : (failed?.hint ?? DRILL);
    found.push({ kind: "drill-failed", what, hint });
  }
  if (!proven) {
    found.push({
      kind: "drill-overdue",
      what: "no drill has proven every source of a snapshot",
      hint: DRILL,
    });
  } else if (proven.ageSeconds > everySeconds) {
    const what = `the last drill that proved everything is ${rough(proven.ageSeconds)} old, one is due every ${rough(everySeconds)}`;
    found.push({ kind: "drill-overdue", what, hint: DRILL });
  }
  return found;
}

/** A policy that does not say how often is held to nothing; one that does, as soon as there was time for the first. */
function verifyConcerns({ verifies, restore }: Facts): Concern[] {
  const { last, everySeconds, doubted, refused } = verifies;
  const found: Concern[] = [];
  if (last && doubted[0]) {
    const named = ids(doubted.map(({ snapshot: id }) => ({ id })));
    const what = `the last verify, ${rough(last.ageSeconds)} ago, doubts the record of ${named}: ${short(doubted[0].why)}`;
    found.push({ kind: "verify-damaged", what, hint: VERIFY });
  }
  if (everySeconds === undefined || !isVerifyOverdue({ restore, verifies })) return found;
  const said = last
    ? `the last verify is ${rough(last.ageSeconds)} old`
    : "no verify has published trusted evidence";
  const doubt = refused[0] ? `; not trusted: ${short(refused[0].why)}` : "";
  const what = `${said}, one is due every ${rough(everySeconds)}${doubt}`;
  return [...found, { kind: "verify-overdue", what, hint: VERIFY }];
}

function isVerifyOverdue({ restore, verifies }: Pick<Facts, "restore" | "verifies">): boolean {
  const { last, everySeconds } = verifies;
  const age = last?.ageSeconds ?? restore.oldest?.ageSeconds ?? 0;
  return everySeconds !== undefined && age > everySeconds;
}

/** What nobody has tried yet. It keeps a policy from being green, and is no failure: the first day begins like that. */
function untried({ restore, drills, verifies, recoveryKey }: Facts): Concern[] {
  if (restore.newest === undefined) return []; // there is nothing to try them on
  const found: Concern[] = [];
  if (drills.count === 0 && !drills.newestRefused)
    found.push({ kind: "never-drilled", what: "no drill has restored a snapshot yet", hint: DRILL });
  const [refused] = verifies.refused;
  if (verifies.last === undefined && !isVerifyOverdue({ restore, verifies }))
    found.push(
      refused === undefined
        ? { kind: "never-verified", what: "no verify has published a result yet", hint: VERIFY }
        : {
            kind: "never-verified",
            what: short(`no verify is believed: ${refused.why}`),
            hint: "name a key in verify.signing_key_file of the policy that is in prune.drill_signers or prune.trusted_signers",
          },
    );
  if (recoveryKey.at === undefined) {
    const what = "the recovery identity was never shown to open a backup";
    found.push({ kind: "recovery-key", what, hint: "drops doctor --identity FILE" });
  }
  return found;
}

function ids(snapshots: readonly { readonly id: string }[]): string {
  const noun = snapshots.length === 1 ? "snapshot" : "snapshots";
  return `${noun} ${someOf(snapshots.map(({ id }) => id).toReversed(), { most: 3 })}`;
}

/** Foreign messages may be long, and a concern is one line. */
function short(text: string): string {
  const line = text.replaceAll(/\s+/g, " ").trim();
  return line.length > MOST_TEXT ? `${line.slice(0, MOST_TEXT - 1)}…` : line;
}
