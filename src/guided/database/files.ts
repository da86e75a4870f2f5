import type { Host } from "../../host/host.ts";
import type { Cancel } from "../../lib/cancel.ts";
import { DropsError } from "../../lib/errors.ts";
import type { PackPool } from "../../pack/pool.ts";
import type { ReadParts } from "../../restore/choose.ts";
import { openHead, openSource } from "../../restore/open-source.ts";
import { type RestorePlan, RestorePlanner } from "../../restore/plan.ts";
import { writePlan } from "../../restore/source-writer.ts";
import type { SnapshotRecord, SourceRecord } from "../../snapshot/record.ts";
import { type PostgresFacts, parsePostgresFacts } from "../../source/postgres/facts.ts";

/** A database of a snapshot: what it was, and its files. */
export interface DatabaseSource {
  readonly parts: ReadParts & { readonly pool: PackPool };
  readonly snapshot: SnapshotRecord;
  readonly record: SourceRecord;
  /** A directory of this machine for what the packs give out of order. */
  readonly scratch: string;
}

const FILES = ["database.dump", "database.sql", "roles.sql"];

/** The facts of the capture, from the manifest's head. Throws as `openSource`, and format/unsupported. */
export async function readDatabaseFacts(
  { parts, snapshot, record }: DatabaseSource,
  how: Cancel,
): Promise<PostgresFacts> {
  const { head } = await openHead(parts, snapshot, record, how);
  return parsePostgresFacts(head.facts);
}

/**
 * Bring the files of a database to an empty directory on the host, as a user that may write there. Throws as
 * `openSource` and `writePlan` do; data/damaged when the manifest holds anything else than these files; space/low.
 */
export async function bringDatabaseFiles(
  from: DatabaseSource,
  to: { readonly host: Host; readonly user: string; readonly directory: string },
  how: Cancel & { readonly onBytes: (bytes: number) => void },
): Promise<{ readonly facts: PostgresFacts; readonly files: number; readonly bytes: number }> {
  const { parts, snapshot, record } = from;
  const opened = await openSource(parts, snapshot, record, how);
  const planner = new RestorePlanner(from.record.name);
  for await (const entry of opened.entries) planner.add(entry);
  const plan = await planner.finish(opened.manifest.numbers);
  checkFiles(plan, from.record.name);
  const what = { source: from.record.name, plan, packs: opened.packs };
  const into = { host: asUserOf(to.host, to.user), directory: to.directory };
  await writePlan(
    { ...from.parts, policyName: from.snapshot.policy, scratch: from.scratch },
    what,
    into,
    how,
  );
  return { facts: parsePostgresFacts(opened.head.facts), files: plan.entries, bytes: plan.bytes };
}

function checkFiles(plan: RestorePlan, source: string): void {
  const files = plan.files.map(({ path }) => path).sort();
  if (plan.entries === FILES.length && files.join() === FILES.join()) return;
  throw new DropsError("data/damaged", `the manifest of ${source} does not list the files of a database`, {
    hint: `drops ls SNAPSHOT ${source}  shows its files`,
  });
}

/** The same host for somebody else: what is written there belongs to that user, whoever owned it when it was captured. */
function asUserOf(host: Host, name: string): Host {
  return {
    label: host.label,
    user: host.user.name === name ? host.user : { name, uid: -1 },
    run: (argv, how) => host.run(argv, { ...how, as: name }),
    start: (argv, how) => host.start(argv, { ...how, as: name }),
    async [Symbol.asyncDispose]() {}, // it is another's
  };
}
