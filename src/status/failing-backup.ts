/** What this machine's alerts remember of a backup that failed: it may have left nothing in the store to tell of it. */

import { bookFile, readBook } from "../notify/book.ts";
import type { Policy } from "../policy/schema.ts";
import type { FailingBackup } from "./report.ts";

/** Undefined when the last backup went well or stored a part, and when nothing is known: that is never a failure. */
export async function failingBackup({ name, notify }: Policy): Promise<FailingBackup | undefined> {
  if (!notify) return undefined;
  const book = await readBook(bookFile(notify.state_directory, name, "backup")).catch(() => undefined);
  const trouble = book?.trouble;
  // without a key it is over, and a partial backup says itself which source failed and why
  if (!trouble?.failure || trouble.key === "" || trouble.event === "partial") return undefined;
  const { code, message, hint } = trouble.failure;
  return { since: trouble.since, code, message, hint };
}
