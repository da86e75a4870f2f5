import * as z from "zod";
import { AbsolutePath, Duration, Name, UnitName } from "./fields.ts";

/** Where the gate lies unless the policy says otherwise. */
export const DEFAULT_GATE = "/var/lib/drops/restore-in-progress";

const Ready = z
  .strictObject({
    http: z
      .url({ protocol: /^https?$/, error: "an http or https address" })
      .optional()
      .describe("a loopback address, asked on the host; 2xx is ready"),
    active_for: Duration.optional().describe("active without a restart for this long"),
    command: z.array(z.string().min(1)).min(1).optional().describe("run on the host, no shell; 0 is ready"),
    within: Duration.default("5m").describe("what is not ready by then has failed"),
  })
  .refine(({ http, active_for, command }) => [http, active_for, command].some((rule) => rule !== undefined), {
    error: "at least one of http, active_for and command",
  });

const Unit = z.strictObject({
  unit: UnitName,
  ready: Ready.default({ active_for: "2s", within: "5m" }).describe("how to tell that it is up"),
  exits: z
    .record(z.string().regex(/^\d{1,3}$/, "an exit status"), z.string().min(1))
    .default({})
    .describe("what its exit statuses mean, in words; shown when it does not start"),
});

const Appservice = z
  .strictObject({
    registration: AbsolutePath.describe("the application service's registration"),
    config: AbsolutePath.describe("the bridge's config.yaml"),
    homeserver: Name.optional().describe("the rocksdb source that holds the homeserver's own copy"),
  })
  .describe("what must fit together before it is swapped in");

const Check = z
  .strictObject({
    name: z.string().min(1).max(100),
    source: Name.describe("whose database or directory the check runs on"),
    sql: z.string().min(1).optional().describe("one statement that answers true; for postgres sources"),
    command: z
      .array(z.string().min(1))
      .min(1)
      .optional()
      .describe("run in the source's directory, no shell; exit status 0 is good"),
  })
  .refine((check) => (check.sql === undefined) !== (check.command === undefined), {
    error: "exactly one of sql and command",
  });

/** How a service is brought back; see docs/guided-restore.md. */
export const Restore = z.strictObject({
  gate: AbsolutePath.default(DEFAULT_GATE).describe(
    "file that keeps the units from starting while it is there",
  ),
  bootstrap: z
    .array(Name)
    .default([])
    .describe("sources that a machine needs before its first boot; never swapped on a running one"),
  units: z
    .array(Unit)
    .default([])
    .describe("what uses the sources, in the order of starting; stopped in the reverse")
    .refine((units) => new Set(units.map(({ unit }) => unit)).size === units.length, "units must differ"),
  appservice: Appservice.optional(),
  checks: z
    .array(Check)
    .default([])
    .refine(
      (checks) => new Set(checks.map(({ name }) => name)).size === checks.length,
      "names of checks must differ",
    )
    .describe("run by drills and by the last step of a restore"),
  checklist: z
    .array(z.string().min(1).max(500))
    .default([])
    .describe("asked of the person at the end of a restore"),
});

export type RestorePolicy = z.infer<typeof Restore>;
export type UnitPolicy = RestorePolicy["units"][number];
export type AppservicePolicy = NonNullable<RestorePolicy["appservice"]>;
export type CheckPolicy = RestorePolicy["checks"][number];

interface NamedSource {
  readonly name: string;
  readonly kind: string;
  readonly paths?: readonly string[];
}

/** What the restore section says of sources that are not so: path in the policy, and what is wrong. Pure. */
export function referenceProblems(
  restore: RestorePolicy,
  sources: readonly NamedSource[],
): { readonly path: (string | number)[]; readonly message: string }[] {
  const problems: { path: (string | number)[]; message: string }[] = [];
  const expect = (name: string, kinds: readonly string[], path: (string | number)[]) => {
    const source = sources.find((each) => each.name === name);
    if (!source) problems.push({ path, message: `there is no source ${name}` });
    else if (!kinds.includes(source.kind))
      problems.push({ path, message: `source ${name} is of kind ${source.kind}, not ${kinds.join(" or ")}` });
  };
  for (const [index, name] of restore.bootstrap.entries())
    expect(name, ["files", "command"], ["restore", "bootstrap", index]);
  for (const [index, { source, sql }] of restore.checks.entries())
    expect(source, sql === undefined ? ["files", "rocksdb"] : ["postgres"], [
      "restore",
      "checks",
      index,
      "source",
    ]);
  const { appservice } = restore;
  if (!appservice) return problems;
  if (appservice.homeserver !== undefined)
    expect(appservice.homeserver, ["rocksdb"], ["restore", "appservice", "homeserver"]);
  for (const field of ["registration", "config"] as const) {
    if (sources.some(({ paths }) => paths?.some((path) => lies(appservice[field], path)))) continue;
    problems.push({
      path: ["restore", "appservice", field],
      message: "no files source holds this path, so it would not come back",
    });
  }
  return problems;
}

function lies(path: string, under: string): boolean {
  const base = under.replace(/\/+$/, "");
  return path === base || path.startsWith(`${base}/`);
}
