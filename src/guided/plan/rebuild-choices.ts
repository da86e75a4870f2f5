import { quote } from "../../host/quote.ts";
import type { RestorePolicy, SourcePolicy } from "../../policy/schema.ts";
import type { SnapshotRecord } from "../../snapshot/record.ts";
import { pathsOf } from "../../source/scope.ts";
import type { RebuildChoice } from "../report.ts";

const COMMIT = /^[0-9a-f]{40}$/;

/** The flake's revision of that day, when it was a commit. */
export function revisionOf({ host }: Pick<SnapshotRecord, "host">): string | undefined {
  const revision = host["flake_revision"] ?? "";
  return COMMIT.test(revision) ? revision : undefined;
}

/** How to go on with a directory that `bootstrap` wrote: the recorded revision first, which is the default. Pure. */
export function rebuildChoices(what: {
  readonly snapshot: Pick<SnapshotRecord, "id" | "host">;
  readonly restore: RestorePolicy;
  readonly sources: readonly SourcePolicy[];
  readonly to: string;
  readonly flake: string | undefined;
  /** `drops restore --store …`, for what comes after. */
  readonly restoreCommand: string;
}): readonly RebuildChoice[] {
  const { snapshot, to, restoreCommand } = what;
  const after = `${restoreCommand} --snapshot ${snapshot.id} --host root@NEW-ADDRESS`;
  if (snapshot.host["nixos_version"] === undefined)
    return [
      {
        title: "install the machine, then put the files in place before the services start",
        notes: [`it was ${snapshot.host["os"] ?? "a machine whose system was not recorded"}`],
        commands: [
          `tar -C ${quote(to)} -cf - . | ssh root@NEW-ADDRESS tar -C / -xpf - --no-overwrite-dir`,
          after,
        ],
      },
      freshHomeserver(what, after),
    ];
  return [recordedRevision(what, after), newerOnACopy(what), freshHomeserver(what, after)];
}

type What = Parameters<typeof rebuildChoices>[0];

function recordedRevision(what: What, after: string): RebuildChoice {
  const { host } = what.snapshot;
  const revision = revisionOf(what.snapshot);
  const system = `NixOS ${host["nixos_version"] ?? ""}, ${host["nixos_system"] ?? "system path not recorded"}`;
  const flake = flakeOf(what);
  return {
    title: "the system of that day (default): data and programs fit together",
    notes: [
      system,
      ...(revision === undefined
        ? ["the flake's revision was not recorded: take the commit of that day"]
        : []),
    ],
    commands: [
      ...(revision === undefined ? [] : [`git -C ${quote(flake)} checkout ${revision}`]),
      `nixos-anywhere --extra-files ${quote(what.to)} --flake ${attributeOf(what)} root@NEW-ADDRESS`,
      after,
    ],
  };
}

function newerOnACopy(what: What): RebuildChoice {
  return {
    title: "the newest system, tried on a copy first",
    notes: [
      "the first start of a newer homeserver changes its database for good: an older one does not open it again",
      "the copy must not reach the outside: two of one name federate, two bridges share Slack's events",
    ],
    commands: [
      `nixos-anywhere --extra-files ${quote(what.to)} --flake ${attributeOf(what)} root@COPY-ADDRESS`,
      `${what.restoreCommand} --snapshot ${what.snapshot.id} --host root@COPY-ADDRESS`,
      `nixos-rebuild switch --flake ${attributeOf(what)} --target-host root@COPY-ADDRESS`,
    ],
  };
}

/** Everything but the homeserver, and what knows its rooms. */
function freshHomeserver({ sources, restore, restoreCommand, snapshot }: What, after: string): RebuildChoice {
  const databases = sources.filter(({ kind }) => kind === "rocksdb");
  const kept = sources.filter((source) => !databases.includes(source) && isApart(source, databases, restore));
  return {
    title: "a fresh homeserver, only when its database cannot be used",
    notes: [
      "LOST: all accounts and passwords, keys of encrypted rooms, rooms that are in Matrix alone, media, the signing key that other servers know",
      "the bridge's registration is registered again (!admin appservices register), its portals are made anew, everyone logs in again: rebuilding from Slack is not free",
    ],
    commands:
      kept.length === 0
        ? [after]
        : [
            `${restoreCommand} --snapshot ${snapshot.id} --host root@NEW-ADDRESS ${kept.map(({ name }) => `--only ${name}`).join(" ")}`,
          ],
  };
}

function isApart(
  source: SourcePolicy,
  databases: readonly SourcePolicy[],
  { bootstrap }: RestorePolicy,
): boolean {
  if (source.kind !== "files" || bootstrap.includes(source.name)) return false;
  const above = databases.flatMap(pathsOf);
  return !pathsOf(source).some((path) => above.some((database) => path.startsWith(`${database}/`)));
}

function flakeOf({ flake }: What): string {
  return flake ?? "FLAKE";
}

function attributeOf(what: What): string {
  const name = what.snapshot.host["hostname"] ?? "NAME";
  return quote(`${flakeOf(what)}#${name.split(".")[0] ?? name}`);
}
