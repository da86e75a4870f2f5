/** What `drops policy` answers. */
import * as z from "zod";
import { Kind, ReportNotes, type ReportOf, Sha256 } from "../lib/report-fields.ts";

export const PolicyReport = z.object({
  origin: z.string(),
  sha256: Sha256,
  name: z.string(),
  zone: z.string(),
  host: z.string(),
  store: z.string(),
  sources: z.array(z.object({ name: z.string(), kind: Kind, what: z.string() })),
  notes: ReportNotes,
});

export const ShownPolicyReport = z.object({
  origin: z.string(),
  sha256: Sha256.describe("of the policy as written"),
  policy: z
    .record(z.string(), z.unknown())
    .describe("what policies/policy.schema.json describes, defaults filled in, secrets hidden"),
});

export type PolicyReport = ReportOf<typeof PolicyReport>;
export type ShownPolicyReport = ReportOf<typeof ShownPolicyReport>;
