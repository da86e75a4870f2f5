import { CONCERNS, type SourceStatus, STATES, type Status } from "./report.ts";

type Labels = Readonly<Record<string, string>>;
type Sample = readonly [labels: Labels, value: number];

interface Metric {
  readonly name: string;
  readonly help: string;
  readonly samples: readonly Sample[];
}

/**
 * For node_exporter's textfile collector; docs/status.md lists the names, none of which is ever renamed. Where there is
 * nothing to tell (no snapshot, no drill) the metric has no sample. Times are seconds since 1970.
 */
export function prometheusOf(status: Status): string {
  const metrics = [
    ...judgement(status),
    ...restorePoints(status),
    ...sources(status),
    ...verified(status),
    ...rest(status),
  ];
  return metrics.flatMap(inLines).join("");
}

function judgement({ policy, at, state: found, concerns }: Status): Metric[] {
  const states = STATES.map((state): Sample => [{ policy, state }, Number(found === state)]);
  const kinds = CONCERNS.map((kind): Sample => {
    return [{ policy, kind }, concerns.filter((concern) => concern.kind === kind).length];
  });
  return [
    one(policy, "drops_status_time_seconds", "When this was found out, by the store's clock.", time(at)),
    { name: "drops_status_state", help: "1 for the state that the policy is in.", samples: states },
    {
      name: "drops_status_concerns",
      help: "How many things of a kind keep the status from being green.",
      samples: kinds,
    },
  ];
}

function restorePoints({ policy, restore, snapshots }: Status): Metric[] {
  const { newest, oldest, points, rpoSeconds } = restore;
  const states = (["complete", "partial"] as const).map((state): Sample => {
    return [{ policy, state }, snapshots.filter((each) => each.state === state).length];
  });
  return [
    one(
      policy,
      "drops_newest_complete_time_seconds",
      "Recovery point of the newest complete snapshot that is whole.",
      time(newest?.point),
    ),
    one(policy, "drops_newest_complete_age_seconds", "Its age when this was found out.", newest?.ageSeconds),
    one(policy, "drops_rpo_seconds", "How old it may get.", rpoSeconds),
    one(
      policy,
      "drops_oldest_complete_time_seconds",
      "Recovery point of the oldest one.",
      time(oldest?.point),
    ),
    {
      name: "drops_snapshots",
      help: "Snapshots in the repository by state; checkpoints are not counted.",
      samples: states,
    },
    one(policy, "drops_restore_points", "Complete snapshots that are whole and believed.", points),
  ];
}

function sources({ policy, sources: all }: Status): Metric[] {
  const each = (name: string, help: string, value: (source: SourceStatus) => number | undefined): Metric => {
    const samples = all.flatMap((source): Sample[] => {
      const found = value(source);
      return found === undefined ? [] : [[{ policy, source: source.name }, found]];
    });
    return { name, help, samples };
  };
  return [
    each("drops_source_newest_time_seconds", "When the newest success of a source was captured.", (source) =>
      time(source.newest?.captured),
    ),
    each(
      "drops_source_newest_age_seconds",
      "Its age when this was found out.",
      (source) => source.newest?.ageSeconds,
    ),
    each(
      "drops_source_failed",
      "1 when the last backup that tried a source failed, or could not read all of it.",
      (source) => Number(source.failed !== undefined),
    ),
    each("drops_source_bytes", "Size of a source in its newest success.", (source) =>
      source.newest ? source.bytes : undefined,
    ),
  ];
}

function verified({ policy, verifies }: Status): Metric[] {
  const { last, coverage, everySeconds } = verifies;
  return [
    one(policy, "drops_last_verify_time_seconds", "End of the last verify.", time(last?.ended)),
    one(
      policy,
      "drops_last_verify_damaged_objects",
      "Objects that the last verify found damaged or missing.",
      last?.damaged,
    ),
    one(
      policy,
      "drops_verify_every_seconds",
      "How often a verify is due, where the policy says.",
      everySeconds,
    ),
    one(
      policy,
      "drops_data_read_share",
      "Share of the data that verifies read back, 0 to 1.",
      coverage?.share,
    ),
    one(
      policy,
      "drops_data_read_since_time_seconds",
      "All data that was stored by then was read back since.",
      time(coverage?.since),
    ),
  ];
}

function rest({ policy, stored, drills, destroy, recoveryKey, clock }: Status): Metric[] {
  const { last, proven, count, everySeconds } = drills;
  const isProven = last && Number(last.verdict === "proven");
  return [
    one(policy, "drops_stored_bytes", "Bytes of objects that snapshots refer to, each once.", stored.bytes),
    one(policy, "drops_stored_objects", "Objects that snapshots refer to.", stored.objects),
    one(policy, "drops_drills", "Drills whose evidence is believed.", count),
    one(policy, "drops_last_drill_time_seconds", "End of the last drill.", time(last?.ended)),
    one(policy, "drops_last_drill_proven", "1 when the last drill proved its snapshot.", isProven),
    one(
      policy,
      "drops_last_proven_time_seconds",
      "End of the last drill that proved every source.",
      time(proven?.ended),
    ),
    one(policy, "drops_drill_every_seconds", "How often a drill is due.", everySeconds),
    one(
      policy,
      "drops_backup_host_can_destroy",
      "1 when the backup host can destroy backups.",
      destroy.proven ? Number(destroy.answer === "yes") : undefined,
    ),
    one(
      policy,
      "drops_recovery_key_proven_time_seconds",
      "When the recovery identity was last seen to open a backup.",
      time(recoveryKey.at),
    ),
    one(
      policy,
      "drops_clock_skew_seconds",
      "How far this machine's clock is ahead of the store's.",
      clock.skewSeconds,
    ),
  ];
}

/** One sample, or none. */
function one(policy: string, name: string, help: string, value: number | undefined): Metric {
  return { name, help, samples: value === undefined ? [] : [[{ policy }, value]] };
}

function inLines({ name, help, samples }: Metric): string[] {
  if (samples.length === 0) return [];
  const lines = samples.map(([labels, value]) => {
    const named = Object.entries(labels).map(([label, text]) => `${label}="${quoted(text)}"`);
    return `${name}{${named.join(",")}} ${rounded(value)}\n`;
  });
  return [`# HELP ${name} ${help}\n# TYPE ${name} gauge\n`, ...lines];
}

/** As the text format wants label values; other control characters have no place in one. */
function quoted(text: string): string {
  return text
    .replaceAll("\\", "\\\\")
    .replaceAll("\n", "\\n")
    .replaceAll('"', '\\"')
    .replaceAll(/\p{Cc}/gu, "?");
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}

function time(iso: string | undefined): number | undefined {
  return iso === undefined ? undefined : Date.parse(iso) / 1000;
}
