import { DropsError } from "../lib/errors.ts";

export const LOG_FORMATS = ["text", "journald", "json"] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];
export type Level = "err" | "warning" | "info";

/** sd-daemon(3). */
const PRIORITY: Readonly<Record<Level, number>> = { err: 3, warning: 4, info: 6 };

/** What one message looks like on standard error, its line ends included. `text` is printable, in one line or several. */
export function writtenAs(format: LogFormat, level: Level, text: string, now: () => Date): string {
  switch (format) {
    case "text":
      return `${text}\n`;
    case "journald":
      return text
        .split("\n")
        .map((line) => `<${PRIORITY[level]}>${line}\n`)
        .join("");
    case "json":
      return `${JSON.stringify({ time: now().toISOString(), level, message: text })}\n`;
  }
}

/**
 * `--log-format` among the arguments, before they are parsed: failures of parsing are told, too. Without it: journald, when
 * that is what reads standard error (`stream` is its device and inode), else text. Throws usage/invalid.
 */
export function logFormatOf(
  args: readonly string[],
  journal: { readonly env: string | undefined; readonly stream: string },
): LogFormat {
  const at = args.findLastIndex((arg) => arg === "--log-format" || arg.startsWith("--log-format="));
  if (at < 0) return journal.env === journal.stream ? "journald" : "text";
  const word = args[at]?.split("=")[1] ?? args[at + 1];
  const format = LOG_FORMATS.find((each) => each === word);
  if (format) return format;
  throw new DropsError("usage/invalid", `no such log format: ${word ?? ""}`, {
    hint: LOG_FORMATS.map((each) => `--log-format ${each}`).join("  or  "),
  });
}

const MOST_LINES = 200;

/** The last lines of a log that may be long. */
export class RecentLines {
  readonly #lines: string[] = [];

  get lines(): readonly string[] {
    return this.#lines;
  }

  add(text: string): void {
    this.#lines.push(...text.split("\n").slice(-MOST_LINES));
    this.#lines.splice(0, Math.max(0, this.#lines.length - MOST_LINES));
  }
}
