import type { Command } from "commander";
import { explain, type GlobalFlags, type Shell } from "../shell.ts";

export function addPolicy(program: Command, shell: Shell): void {
  const policy = program.command("policy").description("look at policies");
  const check = policy
    .command("check")
    .description("read a policy and name every problem in it; contacts nothing")
    .action(async (_flags: object, self: Command) => {
      const { policy: wanted } = self.optsWithGlobals<GlobalFlags>();
      const { findPolicy, POLICY_DIRS } = await import("../../policy/find.ts");
      const { loadPolicy } = await import("../../policy/load.ts");
      const fromEnv = shell.context.env["DROPS_POLICY"];
      const loaded = await loadPolicy(await findPolicy(wanted, { fromEnv, dirs: POLICY_DIRS }));
      const { policyInWords, policyReport } = await import("../words/policy.ts");
      shell.screen.show(policyReport(loaded), policyInWords);
    });
  explain(check, ["drops policy check --policy ./ops.yaml"], []);
  const schema = policy
    .command("schema")
    .description("print the JSON Schema of policies, for editors")
    .action(async () => {
      const { policyJsonSchema } = await import("../../policy/json-schema.ts");
      shell.screen.show(policyJsonSchema(), (value) => JSON.stringify(value, undefined, 2));
    });
  explain(schema, ["drops policy schema > policy.schema.json"], []);
}
