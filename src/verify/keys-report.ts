/** What `drops keys` answers. */
import * as z from "zod";
import { Bytes, Count, type ReportOf, RepositoryFields, Share, Time } from "../lib/report-fields.ts";

export const NamedKey = z.object({
  role: z
    .enum([
      "recovery-recipient",
      "metadata-recipient",
      "signing-key",
      "trusted-signer",
      "revoked-signer",
      "prune-signing-key",
      "prune-trusted-signer",
      "drill-signer",
    ])
    .describe("the field of the policy that names it"),
  key: z.string().optional().describe("the public half; absent when its file is not on this machine"),
  fingerprint: z.string().optional().describe("of an SSH key, SHA256:…"),
  before: Time.optional().describe("of a revoked signer: what landed by then is believed"),
  file: z.string().optional().describe("where the policy says that it lies"),
});

export const SealedSet = z.object({
  recipients: z
    .string()
    .optional()
    .describe("names the set: SHA-256 of its recipients; absent where a record names none"),
  current: z
    .boolean()
    .optional()
    .describe("what the next backup is sealed to; absent when the policy's recipients are not known here"),
  snapshots: Count.describe("listed ones with a source that is sealed to it"),
  sources: Count.describe("sources, by name, with a state that is sealed to it"),
  packs: Count,
  bytes: Bytes.describe("of those packs, each once"),
  share: Share.describe("of the bytes of all packs that snapshots need"),
  oldest: Time.describe("when the first of the snapshots ended"),
  newest: Time,
});

export const SignerUse = z.object({
  key: z.string().describe("the public key line"),
  fingerprint: z.string(),
  current: z.boolean().optional().describe("the policy's signing key; absent when that is not known here"),
  snapshots: Count,
  oldest: Time.describe("when the first of them ended, as they say"),
  newest: Time,
});

export const KeysReport = z.object({
  ...RepositoryFields,
  named: z.array(NamedKey).describe("by the policy, public halves only; empty without a policy"),
  sealedTo: z.array(SealedSet).describe("the newest first"),
  signers: z.array(SignerUse).describe("keys that are believed, with the records that they signed"),
  notBelieved: Count.describe("records that no trusted key signed, or that are damaged; notes say which"),
  notes: z.array(z.string()).describe("what the operator should know; not failures"),
});

export type NamedKey = ReportOf<typeof NamedKey>;
export type SealedSet = ReportOf<typeof SealedSet>;
export type SignerUse = ReportOf<typeof SignerUse>;
export type KeysReport = ReportOf<typeof KeysReport>;
