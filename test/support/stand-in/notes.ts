import { appendFileSync, existsSync } from "node:fs";

/** What the units of a test's machine saw, where no power cut gets at it: tests read it to know what happened when. */
const NOTES = "/mnt/shared/notes.jsonl";
const GATE = "/var/lib/drops/restore-in-progress";

/** One line, whole or not at all. */
export function note(unit: string, event: string, more: Readonly<Record<string, unknown>> = {}): void {
  const line = { at: Date.now(), unit, event, gate: existsSync(GATE), ...more };
  appendFileSync(NOTES, `${JSON.stringify(line)}\n`);
}
