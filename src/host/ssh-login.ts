import { existsSync } from "node:fs";
import type { AnyAuthMethod, OpenSSHAgent, ParsedKey } from "ssh2";
import { DropsError } from "../lib/errors.ts";
import { readText } from "../lib/read-at-most.ts";
import { readSecretFile } from "../lib/secret-file.ts";
import { quote } from "./quote.ts";
import type { SshDestination } from "./ssh-destination.ts";

/** The keys that are offered to a host, and the failure when it accepts none of them. */
export interface SshLogin {
  readonly methods: readonly AnyAuthMethod[];
  refused(cause: unknown): DropsError;
}

type Parse = (key: Buffer | string | ParsedKey) => ParsedKey | Error;

/**
 * The policy's key alone when there is one; else, as ssh does, the agent's keys and then the files that are there. A key that
 * others can read is refused, wherever it is named. Throws host/login-refused, also when there is no key.
 */
export async function sshLogin(to: SshDestination): Promise<SshLogin> {
  const { utils, OpenSSHAgent } = (await import("ssh2")).default;
  const files = to.keyFile === undefined ? to.identityFiles : [to.keyFile];
  const notes: string[] = []; // why some were not offered
  for (const file of [...to.certificateFiles, ...files.map((each) => `${each}-cert.pub`)]) {
    if (existsSync(file)) notes.push(`drops does not read certificates such as ${file}`);
  }
  const keys = await keysIn(files, to, { parse: utils.parseKey, notes });
  const username = to.user;
  const methods: AnyAuthMethod[] = keys.map(({ key }) => ({ type: "publickey", username, key }));
  const offered = keys.map(({ file }) => file);
  if (to.keyFile === undefined && to.agentSocket) {
    const agent = new OpenSSHAgent(to.agentSocket);
    const first = await Promise.all(files.map((file) => publicKeyOf(`${file}.pub`, utils.parseKey)));
    sortKeys(agent, { first: first.flat(), only: to.identitiesOnly, notes });
    methods.unshift({ type: "agent", username, agent });
    offered.unshift("those of the SSH agent");
  }
  if (methods.length === 0) throw noKey(to, files, notes);
  return { methods, refused: (cause) => notAccepted(to, { offered, notes }, cause) };
}

/** The private keys in these files. What is wrong with one is a failure where the policy names it, else a note. */
async function keysIn(
  files: readonly string[],
  to: SshDestination,
  how: { readonly parse: Parse; readonly notes: string[] },
): Promise<readonly { readonly file: string; readonly key: string }[]> {
  const found: { file: string; key: string }[] = [];
  for (const file of files) {
    if (to.keyFile === undefined && !existsSync(file)) continue;
    const key = await readSecretFile(file, "SSH key", "host/login-refused");
    const parsed = how.parse(key);
    if (!(parsed instanceof Error) && parsed.isPrivateKey()) {
      found.push({ file, key });
      continue;
    }
    const problem = unusable(file, parsed);
    if (to.keyFile !== undefined) throw problem;
    how.notes.push(problem.message);
  }
  return found;
}

/** The agent's keys that have a file before the others, or alone. An agent that does not answer has none. */
function sortKeys(
  agent: OpenSSHAgent,
  how: {
    readonly first: readonly Buffer[];
    readonly only: boolean;
    readonly notes: string[];
  },
): void {
  const list = agent.getIdentities.bind(agent);
  const isFirst = (key: ParsedKey) => how.first.some((known) => known.equals(key.getPublicSSH()));
  agent.getIdentities = (done) => {
    list((error, keys = []) => {
      if (error) how.notes.push(`the SSH agent does not answer: ${error.message}`);
      const all = keys as ParsedKey[]; // what this agent hands out, of the types that there are
      done(undefined, [...all.filter(isFirst), ...all.filter((key) => !how.only && !isFirst(key))]);
    });
  };
}

async function publicKeyOf(file: string, parse: Parse): Promise<readonly Buffer[]> {
  const key = parse(await readText(file).catch(() => ""));
  return key instanceof Error ? [] : [key.getPublicSSH()];
}

function unusable(file: string, parsed: ParsedKey | Error): DropsError {
  if (parsed instanceof Error && /passphrase/i.test(parsed.message)) {
    return new DropsError("host/login-refused", `the SSH key ${file} has a passphrase`, {
      hint: `add it to an SSH agent (ssh-add ${file}) and leave out key_file, or use a key without a passphrase`,
      cause: parsed,
    });
  }
  return new DropsError("host/login-refused", `${file} is not an SSH private key that drops can use`, {
    cause: parsed,
  });
}

function noKey(to: SshDestination, files: readonly string[], notes: readonly string[]): DropsError {
  const seen = notes.length > 0 ? notes.join("; ") : `none of ${files.join(", ")} is there`;
  return new DropsError(
    "host/login-refused",
    `no SSH key found for ${to.alias}: no key_file, no SSH agent, and ${seen}`,
    {
      hint: "--ssh-key FILE where the command takes --host, key_file under ssh in the policy, or: eval $(ssh-agent) && ssh-add",
    },
  );
}

function notAccepted(
  to: SshDestination,
  { offered, notes }: { readonly offered: readonly string[]; readonly notes: readonly string[] },
  cause: unknown,
): DropsError {
  const beside = notes.length === 0 ? "" : `; ${notes.join("; ")}`;
  const what = `the key was not accepted (tried: ${offered.join(", ")})${beside}`;
  const key = to.keyFile === undefined ? "" : ` -i ${quote(to.keyFile)}`;
  const certified = notes.some((note) => /certificate/.test(note));
  return new DropsError("host/login-refused", `cannot log in as ${to.user}@${to.alias}: ${what}`, {
    hint: certified
      ? "put the key itself, its .pub file, into authorized_keys on the host"
      : `ssh -p ${to.port}${key} ${to.user}@${to.alias} true`,
    cause,
  });
}
