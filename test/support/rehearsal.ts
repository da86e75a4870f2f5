import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { backup } from "../../src/backup/backup.ts";
import { init } from "../../src/backup/init.ts";
import type { BackupParts, RunResult } from "../../src/backup/snapshot-run.ts";
import { openLocalHost } from "../../src/host/local.ts";
import { PackPool } from "../../src/pack/pool.ts";
import { parsePolicy } from "../../src/policy/load.ts";
import { newSigningKey } from "../../src/seal/keygen.ts";
import { type Signer, signerFromText } from "../../src/seal/sshsig.ts";
import type { BlobStore } from "../../src/store/blob-store.ts";
import { trustOf } from "../../src/trust/trust.ts";
import { openMemoryStore } from "./memory-store.ts";

export interface Rehearsal extends AsyncDisposable {
  /** A scratch directory for what is backed up. */
  readonly directory: string;
  readonly store: BlobStore;
  readonly recovery: { readonly identity: string; readonly recipient: string };
  readonly metadata: { readonly identity: string; readonly recipient: string };
  readonly signer: Signer;
  readonly parts: BackupParts;
  /** One more night; `change` replaces some of the parts. */
  night(
    change?: Partial<BackupParts>,
    what?: { only?: readonly string[]; rereadShare?: number },
  ): Promise<RunResult>;
}

export interface RehearsalOptions {
  /** YAML of the policy's sources, `@DIR@` standing for the scratch directory. */
  readonly sources: string;
  readonly store?: BlobStore;
  readonly checkpoint?: BackupParts["checkpoint"];
}

/** A repository, keys and a policy for this machine, so that the backup verb runs whole without the command line. */
export async function rehearse(options: RehearsalOptions): Promise<Rehearsal> {
  const directory = await mkdtemp(join(tmpdir(), "drops-rehearsal-"));
  const [recovery, metadata] = [await keyPair(), await keyPair()];
  const signer = signerFromText(newSigningKey("rehearsal").privateKey, "the test's signing key");
  const policyText = `name: rehearsal
zone: Europe/Berlin
host: local
store: { directory: /unused }
keys: { recovery_recipients: ["${recovery.recipient}"], metadata_identity_file: /unused, signing_key_file: /unused }
sources:
${options.sources.replaceAll("@DIR@", directory)}`;
  const store = options.store ?? openMemoryStore();
  const pool = new PackPool(1);
  const how = { signal: new AbortController().signal };
  await init(store, signer, new Date(), how);
  const parts: BackupParts = {
    policy: parsePolicy(policyText, "rehearsal.yaml").policy,
    policyText,
    store,
    openHost: openLocalHost,
    pool,
    recoveryRecipients: [recovery.recipient],
    metadata: { identities: [metadata.identity], recipients: [metadata.recipient] },
    signer,
    trust: trustOf(undefined, { signers: [signer.publicKey] }),
    tool: "drops test",
    now: () => new Date(),
    random: Math.random,
    say: () => {},
    checkpoint: options.checkpoint ?? { afterBytes: 2 ** 40, afterMs: 2 ** 40 },
  };
  return {
    directory,
    store,
    recovery,
    metadata,
    signer,
    parts,
    night: (change = {}, { only = [], rereadShare = 0 } = {}) =>
      backup({ ...parts, ...change }, { only, rereadShare }, how),
    async [Symbol.asyncDispose]() {
      await pool[Symbol.asyncDispose]();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function keyPair(): Promise<{ identity: string; recipient: string }> {
  const identity = await generateX25519Identity();
  return { identity, recipient: await identityToRecipient(identity) };
}
