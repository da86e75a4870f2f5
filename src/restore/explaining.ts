import { isFailure } from "../lib/errors.ts";
import type { ReadParts } from "./choose.ts";

/** Do `work`, its failures explained. */
export async function explaining<Answer>(
  { explain }: Pick<ReadParts, "explain">,
  work: () => Promise<Answer>,
): Promise<Answer> {
  try {
    return await work();
  } catch (error) {
    throw isFailure(error) && explain ? explain(error) : error;
  }
}
