import { type CheckResult, checked } from "../run/check.ts";
import { isOlder } from "./version.ts";

/** The program of a unit: of the day of the snapshot, and of the host now. */
export interface ProgramFacts {
  readonly unit: string;
  readonly was: string | undefined;
  readonly is: string | undefined;
}

/** The key of a record's host facts under which a unit's program is. */
export function programFact(unit: string): string {
  return `program ${unit}`;
}

/**
 * Whether the services are as old as their data, as far as the paths of their programs tell: those of the Nix store hold
 * version numbers. Empty when the snapshot says nothing of programs. Pure.
 */
export function checkPrograms(facts: readonly ProgramFacts[]): readonly CheckResult[] {
  const known = facts.filter(({ was }) => was !== undefined);
  if (known.length === 0) return [];
  const older = known.filter(isOlderProgram).map(({ unit }) => unit);
  const found = known.map(({ unit, was, is }) => {
    if (is === was) return `${unit}: ${was} as on the day of the snapshot`;
    return `${unit}: ${is ?? "not known"}, ${was} on the day of the snapshot`;
  });
  const hint = `deploy the revision that is recorded in the snapshot (drops restore --only bootstrap writes its bundle), or a newer one: an older ${older.join(", ")} may refuse its data, or spoil it`;
  return [checked(older.length === 0, "programs are not older than their data", found.join("; "), hint)];
}

function isOlderProgram({ was, is }: ProgramFacts): boolean {
  const [before, after] = [inStore(was), inStore(is)];
  return before !== undefined && before.name === after?.name && isOlder(before.version, after.version);
}

/** `/nix/store/HASH-continuwuity-0.5.0/bin/conduwuit` */
function inStore(path = ""): { readonly name: string; readonly version: string } | undefined {
  const [, name, version] =
    /^\/nix\/store\/[a-z0-9]{32}-([A-Za-z0-9+._?=-]+?)-(\d+(?:\.\d+)*)(?:[^0-9./][^/]*)?\//.exec(path) ?? [];
  return name === undefined || version === undefined ? undefined : { name, version };
}
