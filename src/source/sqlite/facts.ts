import * as z from "zod";

/** What was found in the copy of a database when it was made. */
export const SqliteFacts = z.object({
  /** `online`: by a read transaction; `recovered`: a writer had crashed, and its journal was rolled back in the copy. */
  how: z.enum(["online", "recovered"]),
  /** `quick_check` where the database is larger than 256 MiB. */
  check: z.enum(["integrity_check", "quick_check"]),
  /** What the check says, one problem a line; `ok`. */
  integrity: z.string().max(4000),
  /** Rows whose foreign keys lead nowhere. */
  broken_keys: z.int().nonnegative(),
  page_size: z.int().positive(),
  encoding: z.string().max(20),
  user_version: z.int(),
  application_id: z.int(),
  /** Rows by the name of the table, of 200 tables at most; absent where only `quick_check` was run. */
  rows: z.record(z.string(), z.int().nonnegative()).optional(),
});
export type SqliteFacts = z.infer<typeof SqliteFacts>;

/** The same, in the facts of a files source. */
export const CopiedDatabase = SqliteFacts.extend({
  /** Absolute, as it was on the host. */
  path: z.string(),
  size: z.int().nonnegative(),
});
export type CopiedDatabase = z.infer<typeof CopiedDatabase>;

/** Lines `NAME|VALUE`, and `rows|NAME|COUNT`; undefined when they are not what a copy answers. Names are in hexadecimal. */
export function readAnswers(
  text: string,
  { how, check }: { readonly how: string; readonly check: string },
): SqliteFacts | undefined {
  const single: Record<string, unknown> = { how, check };
  const rows: Record<string, number> = Object.create(null);
  const problems: string[] = [];
  for (const line of text.split("\n")) {
    const [name = "", value = "", count] = line.split("|");
    if (name === "integrity") problems.push(fromHex(value));
    else if (name === "rows") rows[fromHex(value)] = Number(count);
    else if (name === "encoding") single[name] = value;
    else if (/^-?\d{1,15}$/.test(value)) single[name] = Number(value);
  }
  const facts = { ...single, integrity: problems.join("\n") };
  const read = SqliteFacts.safeParse(check === "quick_check" ? facts : { ...facts, rows: { ...rows } });
  return read.success && problems.length > 0 ? read.data : undefined;
}

function fromHex(text: string): string {
  return /^([0-9A-F]{2})*$/.test(text) ? Buffer.from(text, "hex").toString() : text;
}
