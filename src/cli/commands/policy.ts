import type { Command } from "commander";
import type { LoadedPolicy } from "../../policy/load.ts";
import { explain, type GlobalFlags, type Shell } from "../shell.ts";

export function addPolicy(program: Command, shell: Shell): void {
  const policy = program.command("policy").description("check and show policies");
  const check = policy
    .command("check")
    .description("read a policy and report every problem; contacts nothing")
    .action(async (_flags: object, self: Command) => {
      const loaded = await load(shell, self.optsWithGlobals<GlobalFlags>());
      await refuseOverlaps(loaded);
      const { policyInWords, policyReport } = await import("../words/policy.ts");
      shell.screen.show(policyReport(loaded), policyInWords);
    });
  explain(check, ["drops policy check --policy ./ops.yaml"], []);
  const show = policy
    .command("show")
    .description("print a policy with all defaults and no secrets; contacts nothing")
    .action(async (_flags: object, self: Command) => {
      const loaded = await load(shell, self.optsWithGlobals<GlobalFlags>());
      const { shownPolicy, shownPolicyInWords } = await import("../words/shown-policy.ts");
      shell.screen.show(shownPolicy(loaded), shownPolicyInWords);
    });
  explain(show, ["drops policy show", "drops policy show --json | jq .policy.keep"], []);
  const schema = policy
    .command("schema")
    .description("print the JSON Schema of policies, for editors")
    .action(async () => {
      const { policyJsonSchema } = await import("../../policy/json-schema.ts");
      shell.screen.show(policyJsonSchema(), (value) => JSON.stringify(value, undefined, 2));
    });
  explain(schema, ["drops policy schema > policy.schema.json"], []);
}

/** Not where a policy is read: those in old snapshots, which a restore needs, may have any. Throws policy/invalid. */
async function refuseOverlaps({ policy, origin }: LoadedPolicy): Promise<void> {
  const { overlapsOf } = await import("../../source/overlap.ts");
  const overlaps = overlapsOf(policy.sources);
  if (overlaps.length === 0) return;
  const { DropsError } = await import("../../lib/errors.ts");
  const lines = overlaps.map(({ message, hint }) => `  ${message}\n    ${hint}`);
  throw new DropsError("policy/invalid", `${origin}: sources overlap\n${lines.join("\n")}`, {
    hint: "exclude these paths in all sources but one: a backup refuses overlapping sources",
  });
}

async function load(shell: Shell, { policy }: GlobalFlags): Promise<LoadedPolicy> {
  const { findPolicy, POLICY_DIRS } = await import("../../policy/find.ts");
  const { loadPolicy } = await import("../../policy/load.ts");
  const fromEnv = shell.context.env["DROPS_POLICY"];
  return loadPolicy(await findPolicy(policy, { fromEnv, dirs: POLICY_DIRS }));
}
