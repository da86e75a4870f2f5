/** What `drops doctor` is asked, and what it answers. */
import * as z from "zod";
import { Count, type ReportOf, Time } from "../lib/report-fields.ts";
import { GROUPS, RESULTS } from "./types.ts";

const Finding = z.object({
  group: z.enum(GROUPS),
  check: z.string().describe("the name of the check, or of the source; a check may find several things"),
  result: z.enum(RESULTS).describe("unable: could not be found out, which is not the same as ok"),
  what: z.string(),
  why: z.string().describe("why it matters"),
  fix: z.string().optional().describe("the next command, or what to change; of everything but ok"),
});

export const DoctorReport = z.object({
  policy: z.string(),
  origin: z.string().describe("where the policy was read from"),
  store: z.string(),
  host: z.string(),
  at: Time,
  well: z.boolean().describe("nothing failed and everything could be found out: exit 0, else 21"),
  counts: z.object({ ok: Count, warn: Count, unable: Count, fail: Count }),
  findings: z.array(Finding).describe("group by group"),
  destroy: z
    .object({ answer: z.enum(["yes", "no"]), found: z.array(z.string()) })
    .optional()
    .describe("whether this machine's credential can destroy backups; absent: not proven"),
  recorded: z.string().optional().describe("key of what this run wrote into the repository for drops status"),
  left: z
    .array(z.string())
    .describe(
      "keys of objects that were put to try the store and could not be removed; a prune removes them",
    ),
});

export type DoctorReport = ReportOf<typeof DoctorReport>;
export type Finding = ReportOf<typeof Finding>;

export interface DoctorOptions {
  /** File of the recovery identity, to be tried once. */
  readonly identity: string | undefined;
  /** Only these groups of checks; empty means all. */
  readonly only: readonly string[];
}
