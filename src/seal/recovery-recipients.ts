import { DropsError } from "../lib/errors.ts";
import { readText } from "../lib/read-at-most.ts";
import type { Policy } from "../policy/schema.ts";
import { checkRecipients } from "./recipients.ts";

/** Whom everything is sealed to. Throws key/missing, key/wrong. */
export async function recoveryRecipients(policy: Policy): Promise<readonly string[]> {
  const { recovery_recipients: inline, recovery_recipients_file: file } = policy.keys;
  const recipients = inline ?? (file === undefined ? [] : await readRecipients(file));
  checkRecipients(recipients, file ?? `policy ${policy.name}`);
  return recipients;
}

async function readRecipients(file: string): Promise<string[]> {
  const text = await readText(file).catch((cause: unknown) => {
    throw new DropsError("key/missing", `cannot read the recovery recipients in ${file}`, {
      hint: "drops keygen --to DIR makes them",
      cause,
    });
  });
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
}
