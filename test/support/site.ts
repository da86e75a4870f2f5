import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { drops, type Outcome } from "./in-process.ts";

/** Keys, a policy and a repository in a scratch directory, driven through the command line. */
export interface Site extends AsyncDisposable {
  readonly directory: string;
  readonly repository: string;
  readonly keys: string;
  readonly identity: string;
  /** Write the policy anew, parts of it replaced. */
  policy(parts: PolicyParts): Promise<void>;
  drops(...args: readonly string[]): Promise<Outcome>;
  /** Every object in the repository's directory, sorted. */
  objects(): Promise<string[]>;
}

export interface PolicyParts {
  readonly host?: string;
  readonly store?: string;
  readonly sources?: string;
  readonly more?: string;
}

const ONE_SOURCE = `  - { name: words, kind: command, argv: [printf, "some words"] }\n`;

/** `init` and one backup are done. */
export async function openSite(parts: PolicyParts = {}): Promise<Site> {
  const directory = await mkdtemp(join(tmpdir(), "drops-site-"));
  const [repository, keys, file] = [
    join(directory, "repository"),
    join(directory, "keys"),
    join(directory, "policy.yaml"),
  ];
  await mkdir(repository);
  const policy = async (changed: PolicyParts) => {
    const {
      host = "local",
      store = `{ directory: ${repository} }`,
      sources = ONE_SOURCE,
      more = "",
    } = { ...parts, ...changed };
    const text = `name: site
zone: Europe/Berlin
host: ${host}
store: ${store}
keys:
  recovery_recipients_file: ${keys}/recovery-recipients.txt
  metadata_identity_file: ${keys}/metadata-identity.txt
  signing_key_file: ${keys}/signing-key
sources:
${sources}${more}`;
    await writeFile(file, text);
  };
  const site: Site = {
    directory,
    repository,
    keys,
    identity: join(keys, "recovery-identity.txt"),
    policy,
    drops: (...args) => drops(["--policy", file, ...args]),
    objects: async () =>
      (await readdir(repository, { recursive: true, withFileTypes: true }))
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name))
        .sort(),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
  await policy({});
  for (const args of [["keygen", "--to", keys], ["init"], ["backup"]]) {
    const { exit, stderr } = await site.drops(...args);
    if (exit !== 0) throw new Error(`drops ${args.join(" ")}: ${stderr}`);
  }
  return site;
}
