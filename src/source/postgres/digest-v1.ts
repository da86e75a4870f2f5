import * as z from "zod";
import type { TableFacts } from "./facts.ts";
import { quoteName } from "./quote.ts";
import type { PsqlSession } from "./session.ts";

/**
 * `v1`, the digest of old snapshots: as `v2`, of the text of every row as `record_out` gives it, with all columns in their
 * order. A dump makes the columns of a child table (INHERITS) in another order when its parent got one later, so it says nothing of
 * such a table. The server computes it with the rights of who asks, and with it what the table's owner wrote into its indexes.
 */
export async function measureTableV1(
  session: PsqlSession,
  table: { readonly schema: string; readonly name: string },
): Promise<Pick<TableFacts, "rows" | "digest">> {
  const [measured] = Answer.parse(
    // ONLY: the rows of partitions and of tables that inherit are counted where they lie
    await session.json(`SELECT json_build_object(
  'rows', count(*)::text,
  'digest', 'v1:' || left(encode(sha256(convert_to(concat_ws(':', count(*),
    sum(('x' || substr(h, 1, 16))::bit(64)::bigint),
    sum(('x' || substr(h, 17, 16))::bit(64)::bigint)), 'UTF8')), 'hex'), 32))
FROM (
  SELECT encode(sha256(convert_to(textin(record_out(t.*)), getdatabaseencoding())), 'hex') AS h
  FROM ONLY ${quoteName(table)} AS t OFFSET 0
) AS hashed`),
  );
  return measured;
}

const Answer = z.tuple([z.object({ rows: z.string(), digest: z.string() })]);
