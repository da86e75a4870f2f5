import * as z from "zod";
import { Policy } from "./schema.ts";

/** The policy as a JSON Schema for editors: as written, so fields with a default are optional. */
export function policyJsonSchema(): Record<string, unknown> {
  const { $schema, ...rest } = z.toJSONSchema(Policy, { io: "input", target: "draft-7" });
  return { $schema, title: "drops policy", ...rest };
}
