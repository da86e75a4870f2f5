/** What `drops recovery-sheet` and `drops runbook` are asked, and what they answer. */
import * as z from "zod";
import type { PolicyAccess, ReadAccess } from "../lib/access.ts";
import { ReportNotes, type ReportOf, Sha256, Time } from "../lib/report-fields.ts";

export const SheetReport = z.object({
  policy: z.string(),
  files: z.array(z.string()).describe("absolute; each holds the recovery identity"),
  signers: z
    .array(
      z.object({
        fingerprint: z.string(),
        before: Time.optional().describe("of a revoked signer: what landed by then is believed"),
      }),
    )
    .describe("whom the sheet believes"),
  script: Sha256.describe("of recover.sh"),
  repositoryId: z.string().optional().describe("absent when the store could not be asked"),
  scriptInStore: z.boolean(),
  notes: ReportNotes,
});

export const RunbookReport = z.object({
  policy: z.string(),
  form: z.enum(["text", "html", "markdown"]),
  text: z.string(),
  file: z.string().optional().describe("where it was written"),
});

export type SheetReport = ReportOf<typeof SheetReport>;
export type RunbookReport = ReportOf<typeof RunbookReport>;

export interface SheetOptions extends PolicyAccess {
  /** Undefined: beside the policy's recovery recipients. */
  readonly identity: string | undefined;
  readonly to: string;
}

export interface RunbookOptions {
  readonly access: ReadAccess;
  /** Of no policy: nothing is read. */
  readonly general: boolean;
  readonly form: "text" | "html" | "markdown";
  /** Undefined: into the report only. */
  readonly out: string | undefined;
}
