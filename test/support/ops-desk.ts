import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse, stringify } from "yaml";
import type { Policy, StorePolicy } from "../../src/policy/schema.ts";
import { COMPILE_CACHE } from "./compile-cache.ts";
import type { TestS3 } from "./s3.ts";
import { scratchDirectory } from "./scratch.ts";
import { type Answer, run } from "./small-server.ts";
import type { Vps } from "./vps.ts";

const root = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
/** The release when a campaign asks for it: it starts in half the time. */
const MAIN = root(process.env["DROPS_BUILT"] ? "dist/main.js" : "src/main.ts");

/** Where the operator sits: a policy, keys, a home of its own, and drops as a process. */
export interface OpsDesk extends AsyncDisposable {
  readonly directory: string;
  readonly policyFile: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Run to its end, with the policy. */
  drops(...args: readonly string[]): Promise<Answer>;
  /** The same, as if from another operator's machine: nothing of what this one remembers of runs is there. */
  dropsElsewhere(...args: readonly string[]): Promise<Answer>;
  /** As `drops`, as arguments for spawn: `[program, ...args]`. */
  argv(...args: readonly string[]): [string, ...string[]];
  /** What names a machine to work on, and how to log in. */
  hostFlags(vps: Vps): readonly string[];
  /** The same, with the identity out of the safe: for a restore. */
  restoreFlags(vps: Vps): readonly string[];
  /** It must succeed; its report. */
  report<Report>(...args: readonly string[]): Promise<Report>;
}

/**
 * Takes policies/ops-jrz1.yaml as it is shipped, for another host and store, with less patience, and makes keys and repository. `units`: how
 * long each must be active to count as ready.
 */
export async function openOpsDesk(vps: Vps, s3: TestS3, how: { activeFor?: string } = {}): Promise<OpsDesk> {
  await using stack = new AsyncDisposableStack();
  const { path: directory } = stack.use(await scratchDirectory());
  const keys = join(directory, "keys");
  const policyFile = join(directory, "ops-jrz1.yaml");
  const credentialsFile = join(directory, "s3-credentials");
  const { accessKeyId, secretAccessKey } = s3.credentials;
  await writeFile(
    credentialsFile,
    `AWS_ACCESS_KEY_ID=${accessKeyId}\nAWS_SECRET_ACCESS_KEY=${secretAccessKey}\n`,
    {
      mode: 0o600,
    },
  );
  const bucket = { ...s3.policy(await s3.makeBucket()), credentials_file: credentialsFile };
  const policy = await policyFor(vps, { s3: bucket }, keys, how.activeFor ?? "1s");
  await writeFile(policyFile, policy);
  const argv = (...args: readonly string[]): [string, ...string[]] => {
    return [process.execPath, MAIN, "--policy", policyFile, ...args];
  };
  const environment = { ...COMPILE_CACHE, PATH: process.env["PATH"] ?? "", HOME: directory };
  const dropsWith = (home: string, args: readonly string[]) => {
    const words = Object.entries({ ...environment, HOME: home }).map(([name, value]) => `${name}=${value}`);
    return run(["env", "-i", ...words, ...argv(...args)]);
  };
  const drops = (...args: readonly string[]) => dropsWith(directory, args);
  const dropsElsewhere = async (...args: readonly string[]) => {
    await using elsewhere = await scratchDirectory();
    return await dropsWith(elsewhere.path, args);
  };
  const report = async <Report>(...args: readonly string[]): Promise<Report> => {
    const { exit, stdout, stderr } = await drops(...args, "--json");
    if (exit !== 0) throw new Error(`drops ${args.join(" ")} ended with ${exit}: ${stderr}${stdout}`);
    return JSON.parse(stdout) as Report;
  };
  await report("keygen", "--to", keys);
  await report("init");
  const closing = stack.move();
  return {
    directory,
    policyFile,
    environment,
    drops,
    dropsElsewhere,
    argv,
    hostFlags,
    restoreFlags: (vps) => [...hostFlags(vps), "--identity", join(keys, "recovery-identity.txt")],
    report,
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  };
}

function hostFlags({ ssh }: Vps): readonly string[] {
  return ["--host", `${ssh.user}@${ssh.address}`, "--ssh-key", ssh.keyFile, "--host-key", ssh.hostKey];
}

async function policyFor(vps: Vps, store: StorePolicy, keys: string, activeFor: string): Promise<string> {
  const policy = parse(await readFile(root("policies/ops-jrz1.yaml"), "utf8")) as Policy;
  const { address, port, user, keyFile, hostKey } = vps.ssh;
  const units = policy.restore.units.map(({ ready, ...unit }) => {
    const { active_for: _, ...others } = ready;
    return { ...unit, ready: "http" in others ? others : { ...others, active_for: activeFor } };
  });
  return stringify({
    ...policy,
    host: { ssh: { address, port, user, key_file: keyFile, host_key: hostKey } },
    store,
    keys: {
      recovery_recipients_file: join(keys, "recovery-recipients.txt"),
      metadata_identity_file: join(keys, "metadata-identity.txt"),
      signing_key_file: join(keys, "signing-key"),
    },
    restore: { ...policy.restore, units },
  });
}
