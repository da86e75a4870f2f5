import type { RestorePolicy } from "../../policy/schema.ts";
import { replacementNames } from "../../source/postgres/restore/names.ts";
import { pathsOf } from "../../source/scope.ts";
import type { StepId } from "../run/steps.ts";
import { type DatabaseGroup, namesOf, type PathGroup, type ReplacementGroup } from "./groups.ts";
import type { PlanFacts } from "./plan-facts.ts";

/** One thing that is done, in words, with the very command where there is one. */
export interface PlannedAction {
  readonly what: string;
  readonly command?: string;
}

/** What a step does, one line each. Pure. */
export function actionsOf(
  id: StepId,
  facts: PlanFacts,
  groups: readonly ReplacementGroup[],
): readonly PlannedAction[] {
  return ACTIONS[id](facts, groups);
}

type Actions = (facts: PlanFacts, groups: readonly ReplacementGroup[]) => readonly PlannedAction[];

const swaps: Actions = (facts, groups) =>
  groups.flatMap((group) =>
    group.kind === "database" ? databaseActions(group, facts.run) : pathActions(group, facts),
  );

const ACTIONS: Readonly<Record<StepId, Actions>> = {
  bootstrap: () => [],
  fence: ({ oldMachine, oldAddresses, host }) => [
    ...(oldMachine === undefined
      ? []
      : [{ what: `the snapshot was made on another machine, ${oldMachine}` }]),
    oldAddresses.length > 0
      ? { what: `look whether ${oldAddresses.join(", ")} still answers` }
      : oldMachine === undefined
        ? {
            what: `no other machine is known to the policy: it is backed up where it is restored, on ${host}`,
          }
        : { what: "its address is not known: nothing can be asked" },
    { what: "a person says that no other machine runs these services" },
  ],
  preflight: ({ host }) => [
    { what: `look at ${host}: gate, units, users, space, clock, versions; change nothing` },
  ],
  stop: ({ restore }) =>
    restore.units.length === 0
      ? [{ what: "the policy names no units: nothing is stopped. Stop yourself what uses the data" }]
      : [
          { what: "close the gate", command: `touch ${restore.gate}` },
          ...restore.units
            .toReversed()
            .map(({ unit }) => ({ what: `stop ${unit} if it is active`, command: `systemctl stop ${unit}` })),
        ],
  rocksdb: swaps,
  postgres: swaps,
  files: (facts, groups) => [...swaps(facts, groups), ...crossCheck(facts.restore)],
  start: ({ restore }) =>
    restore.units.length === 0
      ? [{ what: "the policy names no units: start yourself what uses the data" }]
      : [
          { what: "open the gate", command: `rm ${restore.gate}` },
          ...restore.units.map(({ unit, ready }) => ({
            what: `start ${unit}, and wait until ${readyInWords(ready)}, for ${ready.within} at most`,
            command: `systemctl start ${unit}`,
          })),
        ],
  login: () => [
    { what: "in the chat with the bridge's bot: list-logins says whether everyone is connected" },
    { what: "only if somebody is not: login app" },
  ],
  messages: ({ restore }) => [
    ...restore.checks.map(({ name, sql, command = [] }) => ({
      what: `check: ${name}`,
      command: sql ?? command.join(" "),
    })),
    ...restore.checklist.map((item) => ({ what: `ask: ${item}` })),
    { what: "then, when all is well", command: "drops restore --finish" },
  ],
};

function crossCheck({ appservice }: RestorePolicy): readonly PlannedAction[] {
  if (appservice === undefined) return [];
  const { registration, config, homeserver } = appservice;
  const copy = homeserver === undefined ? "" : " with the homeserver's own copy";
  return [{ what: `before the swap, compare the tokens in ${registration} and ${config}${copy}` }];
}

function pathActions(group: PathGroup, { run, realPath }: PlanFacts): readonly PlannedAction[] {
  const paths = outermost(group.sources.flatMap(({ policy }) => pathsOf(policy)).map(realPath));
  const names = namesOf(group).join(" and ");
  return paths.flatMap((path, index) => {
    const aside = `${path.slice(0, path.lastIndexOf("/"))}/.drops-restore-${run}`;
    const id = `${group.name}-${index + 1}`;
    return [
      { what: `bring ${names} to ${aside}/new-${id}, verify it, write it to disk` },
      {
        what: `swap ${path}`,
        command: `mv ${path} ${aside}/old-${id} && mv ${aside}/new-${id} ${path}`,
      },
    ];
  });
}

function databaseActions({ name, policy }: DatabaseGroup, run: string): readonly PlannedAction[] {
  const { database } = policy;
  const { staged: made, kept } = replacementNames(database, run);
  return [
    { what: `make the roles that are missing, and an empty database with the recorded encoding and locale` },
    { what: `load ${name}`, command: `pg_restore -d ${made}` },
    { what: "compare every count and digest with the snapshot" },
    {
      what: `swap the databases in one transaction`,
      command: `BEGIN; ALTER DATABASE "${database}" RENAME TO "${kept}"; ALTER DATABASE "${made}" RENAME TO "${database}"; COMMIT`,
    },
  ];
}

function readyInWords(ready: RestorePolicy["units"][number]["ready"]): string {
  const rules = [
    ...(ready.http === undefined ? [] : [`${ready.http} answers`]),
    ...(ready.command === undefined ? [] : [`${ready.command.join(" ")} says so`]),
    ...(ready.active_for === undefined ? [] : [`it was active for ${ready.active_for}`]),
  ];
  return rules.join(" and ");
}

/** Without those that lie in another. */
function outermost(paths: readonly string[]): readonly string[] {
  return [...new Set(paths)].filter(
    (path) => !paths.some((other) => other !== path && path.startsWith(`${other}/`)),
  );
}
