import { execFile, spawn } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { S3Policy, SshPolicy } from "../../src/policy/schema.ts";
import { seedBridge } from "./bridge-database.ts";
import { type Postgres, startPostgres } from "./postgres.ts";
import { type RocksdbWriter, startRocksdbWriter } from "./rocksdb-writer.ts";
import { type Sshd, startSshd } from "./sshd.ts";

/** The release when a campaign asks for it: it starts in half the time. */
const MAIN = fileURLToPath(
  new URL(process.env["DROPS_BUILT"] ? "../../dist/main.js" : "../../src/main.ts", import.meta.url),
);

export interface Answer {
  readonly exit: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** A server such as drops is made for, on this machine: services that never rest, reached over SSH. */
export interface SmallServer extends AsyncDisposable {
  readonly directory: string;
  readonly repository: string;
  readonly keys: string;
  readonly policyFile: string;
  readonly registrations: string;
  readonly media: string;
  readonly rocksdb: RocksdbWriter;
  readonly postgres: Postgres;
  readonly sshd: Sshd;
  readonly database: string;
  /** Run the command line as a user would, with this server's policy; the key pair comes first. */
  drops(...args: readonly string[]): Promise<Answer>;
  /** The command line without any policy. */
  dropsAlone(...args: readonly string[]): Promise<Answer>;
  /** As `drops`, as arguments for spawn: `[program, ...args]`. */
  argv(...args: readonly string[]): [string, ...string[]];
}

export interface SmallServerOptions {
  /** Where the repository lies; default: a directory beside the server's. */
  readonly s3?: { readonly policy: S3Policy; readonly credentialsFile: string };
  readonly messages?: number;
  readonly families?: number;
  readonly pauseMs?: number;
  /** YAML lines added to the policy. */
  readonly more?: string;
  /** Keep the directory when closed. */
  readonly keep?: boolean;
}

export async function startSmallServer(options: SmallServerOptions = {}): Promise<SmallServer> {
  await using stack = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), "drops-small-server-"));
  if (!options.keep) stack.defer(() => rm(directory, { recursive: true, force: true }));
  const postgres = stack.use(await startPostgres());
  const bridge = await seedBridge(postgres, "bridge", { messages: options.messages ?? 2000 });
  stack.use(await bridge.write());
  const families = { families: options.families ?? 40, pauseMs: options.pauseMs ?? 5 };
  const rocksdb = stack.use(await startRocksdbWriter(families));
  const sshd = stack.use(await startSshd());
  const inside = (name: string) => join(directory, name);
  const [keys, registrations, media] = [inside("keys"), inside("registrations"), inside("media")];
  await writeRegistrations(registrations);
  await writeMedia(media);
  const policyFile = inside("policy.yaml");
  const argv = (...args: readonly string[]): [string, ...string[]] => [
    process.execPath,
    MAIN,
    "--policy",
    policyFile,
    ...args,
  ];
  const repository = inside("repository");
  await mkdir(repository);
  const text = policyText({
    sshd: sshd.policy,
    keys,
    registrations,
    media,
    rocksdb,
    postgres,
    repository,
    options,
  });
  await writeFile(policyFile, text);
  const closing = stack.move();
  return {
    directory,
    repository,
    keys,
    policyFile,
    registrations,
    media,
    rocksdb,
    postgres,
    sshd,
    database: bridge.database,
    argv,
    drops: (...args) => run(argv(...args)),
    dropsAlone: (...args) => run([process.execPath, MAIN, ...args]),
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  };
}

/** Run to the end; never throws for an exit status. */
export function run([program, ...args]: readonly [string, ...string[]]): Promise<Answer> {
  return new Promise((resolve) => {
    const child = execFile(program, args, { maxBuffer: 256 * 1024 * 1024 }, (_error, stdout, stderr) => {
      resolve({ exit: child.exitCode ?? undefined, stdout, stderr });
    });
  });
}

/** Run with its words on this terminal; throws when it fails. */
export async function runShown([program, ...args]: readonly [string, ...string[]]): Promise<void> {
  const child = spawn(program, args, { stdio: ["ignore", "inherit", "inherit"] });
  const exit = await new Promise<number | null>((resolve) => child.on("close", resolve));
  if (exit !== 0) throw new Error(`${args.slice(1).join(" ")} ended with ${exit}`);
}

async function writeRegistrations(directory: string): Promise<void> {
  await mkdir(directory, { mode: 0o700 });
  const registration = `id: slack
url: http://127.0.0.1:29335
as_token: ${"a".repeat(64)}
hs_token: ${"h".repeat(64)}
sender_localpart: slackbot
rate_limited: false
namespaces:
  users:
    - { regex: '^@slackbot:example\\.org$', exclusive: true }
    - { regex: '^@slack_.*:example\\.org$', exclusive: true }
`;
  await writeFile(join(directory, "slack.yaml"), registration, { mode: 0o600 });
}

async function writeMedia(directory: string): Promise<void> {
  await mkdir(directory);
  for (let at = 0; at < 20; at++)
    await writeFile(join(directory, `media-${at}`), Buffer.alloc(50_000 * (at + 1), `picture ${at} `));
}

interface World {
  readonly sshd: SshPolicy;
  readonly keys: string;
  readonly registrations: string;
  readonly media: string;
  readonly rocksdb: RocksdbWriter;
  readonly postgres: Postgres;
  readonly repository: string;
  readonly options: SmallServerOptions;
}

function policyText({
  sshd,
  keys,
  registrations,
  media,
  rocksdb,
  postgres,
  repository,
  options,
}: World): string {
  const { s3 } = options;
  const store = s3
    ? { s3: { ...s3.policy, credentials_file: s3.credentialsFile } }
    : { directory: repository };
  const source = { ...postgres.policyFor("bridge"), name: "bridge-db" };
  return `name: demo
zone: Europe/Berlin
host: ${JSON.stringify({ ssh: sshd })}
store: ${JSON.stringify(store)}
keys:
  recovery_recipients_file: ${keys}/recovery-recipients.txt
  metadata_identity_file: ${keys}/metadata-identity.txt
  signing_key_file: ${keys}/signing-key
sources:
  - ${JSON.stringify(source)}
  - { name: homeserver, kind: rocksdb, path: ${rocksdb.directory}, min_free: 64MiB }
  - { name: registrations, kind: files, paths: [${registrations}] }
  - { name: media, kind: files, paths: [${media}] }
${options.more ?? ""}`;
}
