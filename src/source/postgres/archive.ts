import { DropsError } from "../../lib/errors.ts";

/** Bytes of the head that are looked at. */
const HEAD = 11;
const CUSTOM_FORMAT = 1;

/**
 * Pass a dump on, after a look at its head: `PGDMP`, three bytes of archive version, the sizes of integers and offsets,
 * the format (PostgreSQL's pg_backup_archiver.c, ReadHead). Throws source/failed when it is no archive in the custom
 * format, before the first byte is passed on, and when there are no bytes at all.
 */
export async function* checkedArchive(
  bytes: AsyncIterable<Uint8Array>,
  what: string,
): AsyncGenerator<Uint8Array> {
  let head: Buffer | undefined = Buffer.alloc(0);
  for await (const piece of bytes) {
    if (head === undefined) {
      yield piece;
      continue;
    }
    head = Buffer.concat([head, piece]);
    if (head.length < HEAD) continue;
    if (!isCustomArchive(head)) throw notAnArchive(what);
    yield head;
    head = undefined;
  }
  if (head !== undefined) throw notAnArchive(what);
}

/** Whether this is how an archive of `pg_dump -Fc` begins. */
export function isCustomArchive(head: Uint8Array): boolean {
  return (
    head.length >= HEAD &&
    Buffer.from(head.subarray(0, 5)).equals(Buffer.from("PGDMP")) &&
    head[5] === 1 &&
    head[10] === CUSTOM_FORMAT
  );
}

function notAnArchive(what: string): DropsError {
  return new DropsError("source/failed", `${what} did not write an archive in the custom format`);
}
