import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseIdentityFile } from "../../src/seal/recipients.ts";
import { loadSigner } from "../../src/seal/sshsig.ts";
import { newRepository, type Repository, writeRepository } from "../../src/snapshot/repository.ts";
import type { BlobStore } from "../../src/store/blob-store.ts";
import { openS3Store } from "../../src/store/s3.ts";
import { COMPILE_CACHE } from "./compile-cache.ts";
import { drops } from "./in-process.ts";
import { type RequestGate, startRequestGate } from "./request-gate.ts";
import type { TestS3 } from "./s3.ts";
import { type Ended, type Fate, runStruck } from "./struck-process.ts";

const HOW = { signal: new AbortController().signal };
/** The release when a campaign asks for it: it starts in half the time. */
const MAIN = fileURLToPath(
  new URL(process.env["DROPS_BUILT"] ? "../../dist/main.js" : "../../src/main.ts", import.meta.url),
);

export interface DeskOptions {
  readonly s3: TestS3;
  readonly directory: string;
  readonly policy: string;
  /** YAML lines, `sources` among them. */
  readonly more: string;
  /** Seconds, as in repository.json: a usual repository has 2 days, 1 day and 1 hour. */
  readonly constants: Pick<Repository["constants"], "condemn_after" | "delete_after" | "commit_within">;
}

/** A bucket with a repository, keys, and drops as processes that each come to it through a gate. */
export interface RoundsDesk extends AsyncDisposable {
  /** Past the gates. */
  readonly store: BlobStore;
  readonly repository: Repository;
  readonly identityFile: string;
  readonly keys: { readonly identity: string; readonly signer: string; readonly policy: string };
  /** A way in for one process at a time. */
  openGate(): Promise<RequestGate>;
  run(gate: RequestGate, args: readonly string[], fate?: Fate): Promise<Ended>;
  /** It must succeed. */
  must(gate: RequestGate, args: readonly string[]): Promise<Ended>;
}

export async function openRoundsDesk(options: DeskOptions): Promise<RoundsDesk> {
  await using stack = new AsyncDisposableStack();
  const { s3, directory } = options;
  const inside = (name: string) => join(directory, name);
  const bucket = await s3.makeBucket();
  const store = stack.use(await openS3Store(s3.policy(bucket), s3.credentials));
  const keysDirectory = inside("keys");
  await mkdir(inside("home"));
  const made = await drops(["keygen", "--to", keysDirectory]);
  assert.equal(made.exit, 0, made.stderr);
  const signer = await loadSigner(join(keysDirectory, "signing-key"));
  const { constants, ...described } = newRepository("ab".repeat(16), new Date());
  const repository = { ...described, constants: { ...constants, ...options.constants } };
  await writeRepository(store, repository, signer, HOW);
  const identityFile = join(keysDirectory, "recovery-identity.txt");
  const { identities } = parseIdentityFile(await readFile(identityFile, "utf8"), identityFile);
  const env = {
    ...COMPILE_CACHE,
    PATH: process.env["PATH"],
    HOME: inside("home"),
    AWS_ACCESS_KEY_ID: s3.credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: s3.credentials.secretAccessKey,
  };
  const policies = new Map<RequestGate, string>();
  const run = (gate: RequestGate, args: readonly string[], fate?: Fate): Promise<Ended> => {
    const policy = policies.get(gate) ?? assert.fail("another desk's gate");
    return runStruck([process.execPath, MAIN, "--policy", policy, ...args], gate, env, fate);
  };
  const closing = stack.move();
  return {
    store,
    repository,
    identityFile,
    keys: { identity: identities[0] ?? "", signer: signer.publicKey, policy: options.policy },
    async openGate() {
      const gate = closing.use(await startRequestGate(s3.endpoint));
      const file = inside(`policy-${policies.size}.yaml`);
      const place = { s3: { ...s3.policy(bucket), endpoint: gate.endpoint } };
      await writeFile(file, policyText(options, keysDirectory, place));
      policies.set(gate, file);
      return gate;
    },
    run,
    async must(gate, args) {
      const ended = await run(gate, args);
      assert.equal(ended.exit, 0, `drops ${args.join(" ")}: ${ended.stderr}${ended.stdout}`);
      return ended;
    },
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  };
}

function policyText({ policy, more }: DeskOptions, keys: string, store: object): string {
  return `name: ${policy}
zone: Europe/Berlin
host: local
store: ${JSON.stringify(store)}
keys:
  recovery_recipients_file: ${keys}/recovery-recipients.txt
  metadata_identity_file: ${keys}/metadata-identity.txt
  signing_key_file: ${keys}/signing-key
${more}`;
}
