/** `drops restore --only bootstrap`: what a machine needs before its first boot, into a directory here. */

import { again } from "../guided/again.ts";
import { policiesOf } from "../guided/plan/plan-run.ts";
import { rebuildChoices, revisionOf } from "../guided/plan/rebuild-choices.ts";
import type { BootstrapReport } from "../guided/report.ts";
import { bootstrap } from "../guided/run/bootstrap.ts";
import { openLocalHost } from "../host/local.ts";
import type { Cancel } from "../lib/cancel.ts";
import { aboutChosen, chooseSnapshot, type SnapshotChoice } from "../restore/choose.ts";
import { explaining } from "../restore/explaining.ts";
import type { GuidedSession } from "./guided-session.ts";

export async function bootstrapInto(
  session: GuidedSession,
  how: { readonly choice: SnapshotChoice; readonly to: string } & Cancel,
): Promise<BootstrapReport> {
  const read = await session.read(how);
  const chosen = await chooseSnapshot(read.parts, how.choice, how);
  const { record } = chosen.snapshot;
  const { policy, day } = await policiesOf(read, chosen, how);
  const { restore } = policy.policy;
  const { sources } = (day ?? policy).policy;
  const parts = { ...read.parts, pool: read.pool, openHost: openLocalHost };
  const what = { choice: { id: record.id }, to: how.to, restore, sources };
  const made = await explaining(parts, () => bootstrap(parts, what, how));
  const restoreCommand = again("restore", { ...session.access, host: undefined });
  const revision = revisionOf(record);
  return {
    ...aboutChosen(read.parts, chosen),
    to: made.to,
    files: made.files.map(({ path, mode, secret }) => {
      return { path, mode: mode.toString(8).padStart(4, "0"), secret };
    }),
    ...(made.flake === undefined ? {} : { flake: made.flake }),
    ...(revision === undefined ? {} : { revision }),
    choices: rebuildChoices({ ...made, snapshot: record, restore, sources, restoreCommand }),
    notes: [...chosen.notes, ...made.notes],
  };
}
