import { mkdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import * as z from "zod";
import { writeWhole } from "../lib/write-whole.ts";
import type { AlertVerb } from "../policy/notify-schema.ts";

const Time = z.iso.datetime();
const Told = z.strictObject({ trouble: z.string(), at: Time });
const Failure = z.strictObject({
  code: z.string(),
  message: z.string(),
  hint: z.string().optional(),
});

/** What a machine remembers of one verb of one policy. docs/alerts.md describes the file. No secret is in it. */
export const Book = z.strictObject({
  format: z.literal("drops-notify-1"),
  /** When the verb last went well. */
  good: Time.optional(),
  trouble: z
    .strictObject({
      /** When it first failed after that. */
      since: Time,
      /** Of the last failure; see `Outcome`. */
      key: z.string(),
      event: z.enum(["partial", "failure"]),
      mayPass: z.boolean(),
      exitCode: z.int().optional(),
      failure: Failure.optional(),
      /** By channel: what it was told, and when. */
      told: z.record(z.string(), Told),
    })
    .optional(),
  /** The last run: systemd's id of it, and the pings that heard how it ended. */
  run: z.strictObject({ invocation: z.string().optional(), pinged: z.array(z.string()) }).optional(),
});
export type Book = z.infer<typeof Book>;

export const EMPTY_BOOK: Book = { format: "drops-notify-1" };

export function bookFile(directory: string, policy: string, verb: AlertVerb): string {
  return join(directory, policy, verb, "told.json");
}

/**
 * An empty book when there is none yet. Throws when there is one that cannot be read: then it is unknown who was told, and
 * the caller tells again rather than not.
 */
export async function readBook(file: string): Promise<Book> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return EMPTY_BOOK;
    throw error;
  }
  return Book.parse(JSON.parse(text));
}

/** Visible whole or not at all, and on the disk before this returns. */
export async function writeBook(file: string, book: Book): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  // readable by all: drops status may run as another user, and says by it why a night failed
  await writeWhole(file, `${JSON.stringify(book)}\n`, { mode: 0o644 });
}
