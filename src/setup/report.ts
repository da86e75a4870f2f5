/** What `drops setup` is asked, and what it answers. */
import * as z from "zod";
import type { Cancel } from "../lib/cancel.ts";
import type { ReportOf } from "../lib/report-fields.ts";

export const SetupReport = z.object({
  file: z.string().describe("the policy that was written"),
  policy: z.string(),
  sources: z.array(z.string()),
  keys: z.object({
    directory: z.string(),
    made: z.boolean().describe("now; false: they were there, or are not"),
  }),
  repository: z.string().optional().describe("its id, when it was made"),
  next: z.array(z.string()).describe("commands to type, in this order"),
});

export type SetupReport = ReportOf<typeof SetupReport>;

export interface SetupOptions {
  /** Undefined: in the usual place, named after the policy. */
  readonly file: string | undefined;
  readonly prompt: { ask(question: string, how: Cancel): Promise<string> };
}
