/** What `drops iam` answers. */
import * as z from "zod";
import { ReportNotes, type ReportOf } from "../lib/report-fields.ts";

export const IamReport = z.object({
  form: z.enum(["user-policy", "bucket-policy", "lifecycle"]),
  role: z.enum(["writer", "janitor", "keeper", "restorer"]).optional(),
  bucket: z.string(),
  prefix: z.string(),
  policy: z.string(),
  principal: z.string().optional().describe("the user that a bucket's policy is for"),
  createOnly: z.boolean().optional().describe("whether the policy refuses puts over what is there"),
  document: z.record(z.string(), z.unknown()).describe("for the server, as it is"),
  statements: z.array(z.object({ sid: z.string(), why: z.string() })).describe("what each is for"),
  notes: ReportNotes,
});

export type IamReport = ReportOf<typeof IamReport>;
