import { Writable } from "node:stream";
import type { Host } from "../../host/host.ts";
import type { Cancel } from "../../lib/cancel.ts";
import { DropsError, isFailure } from "../../lib/errors.ts";
import type { AppservicePolicy } from "../../policy/schema.ts";
import { type ExportParts, exportFrom } from "../../restore/export.ts";
import type { SnapshotRecord } from "../../snapshot/record.ts";
import { checkAppservice } from "../../source/appservice/check.ts";
import { hostDatabase } from "../../source/rocksdb/verify/database-files.ts";
import { pathsOf } from "../../source/scope.ts";
import type { PathSource, ReplacementGroup } from "../plan/groups.ts";
import type { CheckResult } from "../run/check.ts";

/** Registrations and configurations are small. Bytes. */
const MAX_SIZE = 1024 * 1024;

export interface AppserviceLook {
  readonly host: Host;
  readonly parts: Omit<ExportParts, "zone" | "trust" | "policyName">;
  readonly snapshot: SnapshotRecord;
  /** What the run puts in place: a file of it is read from the snapshot, any other one on the host. */
  readonly groups: readonly ReplacementGroup[];
  /** Directory of the homeserver's database on the host, in place already. */
  readonly homeserverPath: string | undefined;
}

/** Whether what will be in place fits together. Throws what reading throws. */
export async function lookAtAppservice(
  policy: AppservicePolicy,
  look: AppserviceLook,
  how: Cancel,
): Promise<readonly CheckResult[]> {
  return checkAppservice(
    {
      registration: await contentOf(policy.registration, look, how),
      config: await contentOf(policy.config, look, how),
      homeserver:
        look.homeserverPath === undefined ? undefined : hostDatabase(look.host, look.homeserverPath),
    },
    how,
  );
}

/** Undefined when there is no such file. */
async function contentOf(path: string, look: AppserviceLook, how: Cancel): Promise<Uint8Array | undefined> {
  const source = look.groups
    .flatMap((group): readonly PathSource[] => (group.kind === "paths" ? group.sources : []))
    .find(({ policy }) => pathsOf(policy).some((above) => path === above || path.startsWith(`${above}/`)));
  return source ? fromSnapshot(path, source, look, how) : fromHost(path, look.host, how);
}

async function fromSnapshot(
  path: string,
  { record }: PathSource,
  { parts, snapshot }: AppserviceLook,
  how: Cancel,
): Promise<Uint8Array | undefined> {
  const pieces: Buffer[] = [];
  let size = 0;
  const into = new Writable({
    write(piece: Buffer, _encoding, done) {
      size += piece.length;
      // the memory is used again after this
      if (size <= MAX_SIZE) pieces.push(Buffer.from(piece));
      done(
        size <= MAX_SIZE ? null : new DropsError("data/damaged", `${path} is larger than a configuration is`),
      );
    },
  });
  try {
    await exportFrom(parts, snapshot, { source: record.name, path: path.slice(1), into }, how);
    return Buffer.concat(pieces);
  } catch (error) {
    if (isFailure(error, "usage/invalid")) return undefined; // no such file in it
    throw error;
  }
}

async function fromHost(path: string, host: Host, how: Cancel): Promise<Uint8Array | undefined> {
  const script =
    'if [ -f "$1" ]; then exec dd if="$1" iflag=nonblock,fullblock bs="$2" count=1 status=none; fi; exit 77';
  const { exit, stdout } = await host.run(["sh", "-c", script, "drops-read", path, String(MAX_SIZE)], {
    ...how,
    okExits: [0, 77],
  });
  return exit === 77 ? undefined : stdout;
}
