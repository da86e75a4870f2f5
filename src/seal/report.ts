/** What `drops keygen` answers. */
import * as z from "zod";
import type { ReportOf } from "../lib/report-fields.ts";

export const KeygenReport = z.object({
  directory: z.string(),
  files: z.array(
    z.object({
      role: z.enum([
        "recovery-identity",
        "recovery-recipients",
        "metadata-identity",
        "signing-key",
        "signer",
      ]),
      path: z.string(),
      secret: z.boolean(),
    }),
  ),
  recoveryRecipient: z.string(),
  metadataRecipient: z.string(),
  signer: z.string().describe("the public key line for trusted_signers"),
});

export type KeygenReport = ReportOf<typeof KeygenReport>;
