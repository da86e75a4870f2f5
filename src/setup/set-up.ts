/** The first policy of a machine: questions, the file, keys and repository, each only when a person said yes. */
import { access, constants, mkdir, stat, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname, join, resolve } from "node:path";
import type { InitReport } from "../backup/report.ts";
import type { Host } from "../host/host.ts";
import { quote } from "../host/quote.ts";
import type { Cancel } from "../lib/cancel.ts";
import type { AppContext } from "../lib/context.ts";
import { DropsError, isFailure } from "../lib/errors.ts";
import { POLICY_DIRS } from "../policy/find.ts";
import { parseHost } from "../policy/host-words.ts";
import { parsePolicy } from "../policy/load.ts";
import type { Policy } from "../policy/schema.ts";
import { makeKeys } from "../seal/keygen.ts";
import { realPaths } from "../source/real-paths.ts";
import { SAME_DISK_HINT, sameDisk } from "../source/same-disk.ts";
import { Asker, interview, withHint } from "./interview.ts";
import { lookFor } from "./look.ts";
import { type Choices, policyText } from "./policy-text.ts";
import type { SetupOptions, SetupReport } from "./report.ts";
import { nameFor } from "./suggest.ts";

export interface SetupParts {
  readonly context: AppContext;
  openHost(host: Policy["host"], how: Cancel): Promise<Host>;
  init(policy: Policy, how: Cancel): Promise<InitReport>;
}

export async function setUp(options: SetupOptions & Cancel, parts: SetupParts): Promise<SetupReport> {
  const how = { signal: options.signal };
  const { say } = parts.context.reporter;
  const directory = options.file === undefined ? await policyDirectory() : dirname(resolve(options.file));
  const asking = { interviewer: options.prompt, say };
  const look = async (host: Choices["host"], sshKey: string | undefined) => {
    await using opened = await parts.openHost(hostPolicy(host, sshKey), how);
    return lookFor(opened, how);
  };
  const realPath = async (path: string, host: Choices["host"], sshKey: string | undefined) => {
    await using opened = await parts.openHost(hostPolicy(host, sshKey), how);
    return (await realPaths(opened, [path], how))[path] ?? path;
  };
  const defaults = {
    name: nameFor(hostname().split(".")[0] ?? "", "", new Set()),
    zone: Intl.DateTimeFormat().resolvedOptions().timeZone,
    keys: join(directory, "keys"),
  };
  const choices = await interview({ ...asking, defaults, parseHost, look, realPath }, how);
  const file = options.file === undefined ? join(directory, `${choices.name}.yaml`) : resolve(options.file);
  const text = policyText(choices);
  const { policy } = parsePolicy(text, file);

  const asker = new Asker(asking, how);
  for (const line of [
    "",
    ...text
      .trimEnd()
      .split("\n")
      .map((each) => `    ${each}`),
    "",
  ])
    say(line);
  const disk = await sameDisk(policy);
  if (disk !== undefined) say(`WARNING: ${disk} (${SAME_DISK_HINT})`);
  if (!(await asker.yes(`write this to ${file}`)))
    throw new DropsError(
      "interrupted",
      `stopped before ${file} was written, as you answered: nothing was done`,
    );
  await writePolicy(file, text);
  const keys = await keysFor(choices, asker, parts.context);
  const repository = keys.there ? await repositoryFor(policy, choices, asker, parts, how) : undefined;
  return {
    file,
    policy: choices.name,
    sources: choices.sources.map(({ name }) => name),
    keys: { directory: choices.keys, made: keys.made },
    ...(repository === undefined ? {} : { repository: repository.repositoryId }),
    next: await nextCommands(file, choices, keys.there, repository !== undefined),
  };
}

/** Where policies are looked up, when this user may write there; else here. */
async function policyDirectory(): Promise<string> {
  const [usual = "."] = POLICY_DIRS;
  for (const place of [usual, dirname(usual)]) {
    const found = await access(place, constants.W_OK).then(
      () => true,
      (error: NodeJS.ErrnoException) => (error.code === "ENOENT" ? undefined : false),
    );
    if (found !== undefined) return found ? usual : resolve(".");
  }
  return resolve(".");
}

function hostPolicy(host: Choices["host"], sshKey: string | undefined): Policy["host"] {
  if (host === "local") return "local";
  const key = sshKey === undefined ? {} : { key_file: sshKey };
  return { ssh: { ...host, ...key } };
}

async function writePolicy(file: string, text: string): Promise<void> {
  try {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text, { flag: "wx", mode: 0o600 });
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
    const exists = code === "EEXIST";
    const what = exists ? `${file} exists already: nothing was overwritten` : `cannot write ${file}: ${code}`;
    const hint = exists ? `drops policy check --policy ${quote(file)}` : "drops init --policy FILE";
    throw new DropsError(exists ? "safety/refused" : "usage/invalid", what, { hint, cause });
  }
}

async function keysFor({ keys }: Choices, asker: Asker, context: AppContext) {
  const isThere = await exists(join(keys, "recovery-recipients.txt"));
  if (isThere || !(await asker.yes(`make the keys in ${keys}`))) return { there: isThere, made: false };
  await makeKeys(keys, { now: context.now() });
  return { there: true, made: true };
}

/** Undefined when it was not wanted, cannot be tried yet, or failed: that is said, and the policy stays. */
async function repositoryFor(
  policy: Policy,
  { store, credentialsFile }: Choices,
  asker: Asker,
  parts: SetupParts,
  how: Cancel,
): Promise<InitReport | undefined> {
  if ("s3" in store && !(await exists(credentialsFile ?? ""))) return undefined;
  if (!(await asker.yes("make the repository in the store"))) return undefined;
  try {
    return await parts.init(policy, how);
  } catch (error) {
    if (!isFailure(error) || isFailure(error, "interrupted")) throw error;
    parts.context.reporter.say(`  ${withHint(error)}`);
    return undefined;
  }
}

async function nextCommands(file: string, choices: Choices, hasKeys: boolean, hasRepository: boolean) {
  const { keys, store, credentialsFile } = choices;
  const option = POLICY_DIRS.includes(dirname(file)) ? "" : ` --policy ${quote(file)}`;
  const needsCredentials = "s3" in store && credentialsFile !== undefined && !(await exists(credentialsFile));
  return [
    ...(hasKeys ? [] : [`drops keygen --to ${quote(keys)}`]),
    ...(needsCredentials ? [`install -m 600 /dev/stdin ${quote(credentialsFile)}`] : []),
    ...(hasRepository ? [] : [`drops init${option}`]),
    `drops doctor${option}`,
    `drops backup${option}`,
  ];
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}
