import type { FuzzTarget } from "./fuzz-target.ts";
import { DOCUMENT_TARGETS } from "./targets/documents.ts";
import { FILES_TARGETS } from "./targets/files.ts";
import { KEY_TARGETS } from "./targets/keys.ts";
import { PACK_TARGETS } from "./targets/packs.ts";
import { POSTGRES_TARGETS } from "./targets/postgres.ts";
import { ROCKSDB_TARGETS } from "./targets/rocksdb.ts";
import { S3 } from "./targets/s3.ts";
import { TEXT_TARGETS } from "./targets/texts.ts";

/** Every parser that reads foreign bytes. */
export const TARGETS: readonly FuzzTarget[] = [
  ...[...FILES_TARGETS, ...ROCKSDB_TARGETS, ...POSTGRES_TARGETS],
  ...[...DOCUMENT_TARGETS, ...KEY_TARGETS, ...TEXT_TARGETS, ...PACK_TARGETS, S3],
];

export function targetOf(name: string): FuzzTarget {
  const found = TARGETS.find((target) => target.name === name);
  if (found !== undefined) return found;
  throw new Error(`no parser ${name}; there are ${TARGETS.map((target) => target.name).join(", ")}`);
}
