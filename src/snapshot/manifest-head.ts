import * as z from "zod";
import { FORMAT } from "./repository.ts";

/**
 * The first line of a manifest. It holds what a restore needs when nothing else is left: the whole policy, the trusted
 * keys, the runbook, and what the source was.
 */
export const ManifestHead = z.object({
  drops: z.literal("manifest"),
  format: z.literal(FORMAT),
  repository: z.string(),
  policy: z.string(),
  source: z.string(),
  kind: z.enum(["rocksdb", "postgres", "files", "command"]),
  captured_at: z.iso.datetime(),
  /** The policy file as it was, YAML text. */
  policy_text: z.string(),
  trusted_signers: z.array(z.string()),
  /** What a person does on the worst day with this policy, Markdown, without secrets. Older manifests have none. */
  runbook: z.string().optional(),
  facts: z.record(z.string(), z.unknown()),
});
export type ManifestHead = z.infer<typeof ManifestHead>;
