import * as z from "zod";
import { OUTPUTS } from "../../src/cli/outputs.ts";
import { AlertBody } from "../../src/notify/report.ts";
import { policyJsonSchema } from "../../src/policy/json-schema.ts";

/** Every generated schema: its path in the project and its text. */
export function generatedSchemas(): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  files.set("policies/policy.schema.json", textOf(policyJsonSchema()));
  for (const [name, output] of Object.entries({ ...OUTPUTS, alert: AlertBody })) {
    // as input: a consumer must put up with fields that a later version adds
    const { $schema, ...rest } = z.toJSONSchema(output, { io: "input", target: "draft-2020-12" });
    const title = TITLES[name] ?? `drops ${name} --json`;
    files.set(`schemas/${name}.schema.json`, textOf({ $schema, title, ...rest }));
  }
  return files;
}

const TITLES: Readonly<Record<string, string>> = {
  error: "drops --json, on failure",
  alert: "what webhooks and commands of notify are sent",
};

function textOf(schema: object): string {
  return `${JSON.stringify(schema, undefined, 2)}\n`;
}
