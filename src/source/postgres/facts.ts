import * as z from "zod";
import { DropsError } from "../../lib/errors.ts";
import { Obstacle } from "./obstacles.ts";
import { Privileges } from "./privileges.ts";

// Facts come from a server, or from whoever wrote the snapshot: nothing of them may mean more than it says, wherever it is written.
/** As a server has them; 63 bytes in most. */
const Name = z.string().regex(/^[^\0]{1,255}$/);
const Text = z
  .string()
  .max(1024 * 1024)
  .regex(/^[^\0]*$/);
/** Of versions, encodings and locales: printable, without what quotes or escapes. */
const Word = z.string().regex(/^[^\p{C}\\'"`]{0,255}$/u);
export const PostgresVersion = z.string().regex(/^\d[^\p{C}\\'"`]{0,99}$/u);

/** A 64-bit number as text: JSON readers round bigger ones. */
const Count = z.string().regex(/^-?\d{1,20}$/);

const Table = z.object({
  schema: Name,
  name: Name,
  rows: Count,
  digest: z
    .string()
    .regex(/^v\d+:[0-9a-f]{1,128}$/)
    .optional(),
});

const Relation = z.object({ schema: Name, name: Name, kind: Word });
const Sequence = z.object({ schema: Name, name: Name, last_value: Count.nullable() });

/** What the rows of a database come to; see row-digest.ts for what a digest is. */
export const Measure = z.object({
  digest_version: z
    .string()
    .regex(/^v\d+$/)
    .optional(),
  tables: z.array(Table),
  /** Relations whose rows are not compared, and of what kind they are. */
  uncounted: z.array(Relation),
  /** Read while the writers went on: a restored sequence may be further, never behind. */
  sequences: z.array(Sequence),
  large_objects: Count,
});

const Grant = z.object({
  /** Null: PUBLIC. */
  grantee: Name.nullable(),
  privilege: z.enum(["CREATE", "CONNECT", "TEMPORARY"]),
  grantable: z.boolean(),
});

const Setting = z.object({
  /** Null: for every role. */
  role: Name.nullable(),
  name: z.string().regex(/^[A-Za-z_][A-Za-z0-9_$.]{0,254}$/),
  value: Text,
});

/** What CREATE DATABASE and what follows it need to make the same empty database again. */
export const Database = z.object({
  database: Name,
  server: z.object({ version: PostgresVersion, version_num: z.string().regex(/^\d{5,7}$/) }),
  encoding: z.string().regex(/^\w{1,63}$/),
  collate: Word,
  ctype: Word,
  provider: z.enum(["libc", "icu", "builtin"]),
  /** Of providers icu and builtin. */
  locale: Word.nullable(),
  icu_rules: Text.nullable(),
  collation_version: Word.nullable(),
  owner: Name,
  connection_limit: z.number().int(),
  is_template: z.boolean(),
  tablespace: Name,
  comment: Text.nullable(),
  /** Null: the default privileges; empty: none at all. */
  acl: z.array(Grant).nullable(),
  settings: z.array(Setting),
});

const Facts = z.object({
  kind: z.literal("postgres"),
  ...Database.shape,
  ...Measure.shape,
  extensions: z.array(z.object({ name: Name, version: Text, schema: Name })),
  roles: z.array(Name),
  /** False when the capturing role may not read passwords: roles.sql then has none. */
  role_passwords: z.boolean(),
  pg_dump: PostgresVersion,
  /** What a restore cannot bring back as it is. Undefined: nobody looked. */
  obstacles: z.array(Obstacle).optional(),
  /** Undefined: not recorded. */
  privileges: z.array(Privileges).optional(),
  /** Size on the server's disk, in bytes, indexes included. */
  size_bytes: Count,
});

export type Measure = z.infer<typeof Measure>;
export type TableFacts = z.infer<typeof Table>;
export type DatabaseFacts = z.infer<typeof Database>;
/** The facts of a PostgreSQL source, as they lie in the manifest's head. */
export type PostgresFacts = z.infer<typeof Facts>;

/** Read facts back from a manifest. Throws format/unsupported when they are not those of a PostgreSQL source. */
export function parsePostgresFacts(facts: unknown): PostgresFacts {
  const read = Facts.safeParse(facts);
  if (read.success) return read.data;
  throw new DropsError(
    "format/unsupported",
    "the facts of the source do not describe a PostgreSQL database",
    {
      cause: read.error,
    },
  );
}
