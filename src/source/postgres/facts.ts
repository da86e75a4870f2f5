import * as z from "zod";
import { DropsError } from "../../lib/errors.ts";
import { Obstacle } from "./obstacles.ts";

/** A 64-bit number as text: JSON readers round bigger ones. */
const Count = z.string().regex(/^-?\d+$/);

const Table = z.object({
  schema: z.string(),
  name: z.string(),
  rows: Count,
  digest: z.string().optional(),
});

const Relation = z.object({ schema: z.string(), name: z.string(), kind: z.string() });
const Sequence = z.object({ schema: z.string(), name: z.string(), last_value: Count.nullable() });

/** What the rows of a database come to; see row-digest.ts for what a digest is. */
export const Measure = z.object({
  digest_version: z.string().optional(),
  tables: z.array(Table),
  /** Relations whose rows are not compared, and of what kind they are. */
  uncounted: z.array(Relation),
  /** Read while the writers went on: a restored sequence may be further, never behind. */
  sequences: z.array(Sequence),
  large_objects: Count,
});

const Grant = z.object({
  /** Null: PUBLIC. */
  grantee: z.string().nullable(),
  privilege: z.string().regex(/^[A-Z]+$/),
  grantable: z.boolean(),
});

const Setting = z.object({
  /** Null: for every role. */
  role: z.string().nullable(),
  name: z.string().regex(/^[A-Za-z_][A-Za-z0-9_$.]*$/),
  value: z.string(),
});

/** What CREATE DATABASE and what follows it need to make the same empty database again. */
export const Database = z.object({
  database: z.string(),
  server: z.object({ version: z.string(), version_num: z.string().regex(/^\d+$/) }),
  encoding: z.string(),
  collate: z.string(),
  ctype: z.string(),
  provider: z.enum(["libc", "icu", "builtin"]),
  /** Of providers icu and builtin. */
  locale: z.string().nullable(),
  icu_rules: z.string().nullable(),
  collation_version: z.string().nullable(),
  owner: z.string(),
  connection_limit: z.number().int(),
  is_template: z.boolean(),
  tablespace: z.string(),
  comment: z.string().nullable(),
  /** Null: the default privileges; empty: none at all. */
  acl: z.array(Grant).nullable(),
  settings: z.array(Setting),
});

const Facts = z.object({
  kind: z.literal("postgres"),
  ...Database.shape,
  ...Measure.shape,
  extensions: z.array(z.object({ name: z.string(), version: z.string(), schema: z.string() })),
  roles: z.array(z.string()),
  /** False when the capturing role may not read passwords: roles.sql then has none. */
  role_passwords: z.boolean(),
  pg_dump: z.string(),
  /** What a restore cannot bring back as it is. Undefined: nobody looked. */
  obstacles: z.array(Obstacle).optional(),
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
    "the facts of the source are not those of a PostgreSQL database",
    {
      cause: read.error,
    },
  );
}
