/** What `drops keeper` answers. */
import * as z from "zod";
import { Count, Objects, Place, type ReportOf, Seconds, Time } from "../lib/report-fields.ts";

export const KeeperReport = z.object({
  ...Place,
  at: Time.describe("by the store's clock"),
  dryRun: z.boolean(),
  mode: z
    .enum(["governance", "compliance"])
    .describe("of locks that are set anew; one that is extended keeps its own"),
  snapshots: Count.describe("whose objects are kept locked"),
  enough: Objects.describe("locked for long enough"),
  extended: Objects.describe("extended, and read back; with dryRun: due"),
  lockedUntil: Time.optional().describe("everything that these snapshots need is locked until then at least"),
  furthest: Time.optional().describe("the last lock to end"),
  otherMode: Count.describe("objects that are locked in another mode than the policy's"),
  missing: z
    .array(z.object({ key: z.string(), bytes: Count }))
    .describe("needed, and no version has that size"),
  hidden: z
    .array(
      z.object({
        key: z.string(),
        version: z.string().describe("the right one: it landed first"),
        by: z.string().describe("the version that hides it"),
        marker: z.boolean().describe("a delete marker; else something was put over it"),
        since: Time,
      }),
    )
    .describe("needed, and not what a reader who asks for the name gets; drops restore --hidden reads it"),
  failed: z.array(z.object({ key: z.string(), why: z.string() })).describe("due, and not extended"),
  unbelieved: z.array(z.string()).describe("records that nobody trusted signed: kept, and not locked"),
  removedEarly: z
    .array(z.string())
    .describe("records that were removed long before the plan would have let them go"),
  problems: z.array(z.string()).describe("what could not be read, so that it is not known what it needs"),
  seconds: Seconds,
  notes: z.array(z.string()),
});

export type KeeperReport = ReportOf<typeof KeeperReport>;
