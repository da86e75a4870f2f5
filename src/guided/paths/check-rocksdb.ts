import { createWriteStream } from "node:fs";
import { mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { expectSuccess } from "../../host/expect-success.ts";
import type { Host } from "../../host/host.ts";
import { readingPlain } from "../../host/plain-file.ts";
import type { Cancel } from "../../lib/cancel.ts";
import { DropsError, isFailure } from "../../lib/errors.ts";
import { checkRocksdbDirectory } from "../../source/rocksdb/verify/check-directory.ts";

/** What says how the tables fit together; their content was authenticated when it was written. */
const READ = /^(CURRENT|MANIFEST-\d{1,20}|OPTIONS-\d{1,20}|\d{1,20}\.log)$/;
const STANDS_FOR_ITSELF = /^\d{1,20}\.(sst|blob)$/;

/**
 * Whether a database directory of a host is one state: its MANIFEST and logs are brought here and read, for tables their
 * sizes are enough. Answers what is wrong, in words; empty when it is whole. Nobody may write to it meanwhile.
 *
 * @param files names and sizes of what is there
 * @param scratch a directory of this machine
 */
export async function checkHostRocksdb(
  host: Host,
  directory: string,
  files: ReadonlyMap<string, number>,
  how: Cancel & { readonly scratch: string },
): Promise<readonly string[]> {
  const shadow = await mkdtemp(join(how.scratch, ".drops-check-"));
  try {
    for (const [name, size] of files) {
      const path = join(shadow, name);
      if (READ.test(name)) await fetchFile(host, `${directory}/${name}`, { path, size }, how);
      else if (STANDS_FOR_ITSELF.test(name)) {
        await writeFile(path, "");
        await truncate(path, size); // takes no room
      }
    }
    await checkRocksdbDirectory(shadow, { ...how, tables: false });
    return [];
  } catch (error) {
    if (!isFailure(error, "data/damaged", "data/missing")) throw error;
    return [error.message.replaceAll(shadow, directory)];
  } finally {
    await rm(shadow, { recursive: true, force: true });
  }
}

/** Not a byte more than `size` is taken. */
async function fetchFile(
  host: Host,
  from: string,
  to: { readonly path: string; readonly size: number },
  how: Cancel,
): Promise<void> {
  await using cat = await host.start(readingPlain(from), how);
  cat.stdin.end();
  let left = to.size;
  const exactly = new Transform({
    transform(piece: Buffer, _encoding, done) {
      left -= piece.length;
      done(left < 0 ? changed(from) : null, piece);
    },
  });
  await pipeline(cat.stdout, exactly, createWriteStream(to.path), how);
  await expectSuccess(cat, `reading ${from} on ${host.label}`);
  if (left !== 0) throw changed(from);
}

function changed(path: string): DropsError {
  return new DropsError("data/damaged", `${path} changed while it was compared`);
}
