import { stat } from "node:fs/promises";
import type { Cancel } from "../lib/cancel.ts";
import { isFailure } from "../lib/errors.ts";
import { readIdentityFile, recipientsOf } from "../seal/recipients.ts";
import { fingerprint, loadSigner, samePublicKey } from "../seal/sshsig.ts";
import { newestManifest, opens } from "./newest-manifest.ts";
import { type Check, fail, type Line, ok, warn } from "./types.ts";
import type { World } from "./world.ts";

/** Group and others: none of them may read a private key. */
const OPEN_TO_OTHERS = 0o077;

/** The keys of the policy, on this machine. */
export function keyChecks(world: World): Check[] {
  return [
    {
      group: "keys",
      name: "recipients",
      why: "everything is sealed to them: what is wrong here, nobody ever opens",
      run: () => recipients(world),
    },
    {
      group: "keys",
      name: "signing-key",
      why: "restores refuse a snapshot without a trusted signature",
      run: () => signingKey(world),
    },
    {
      group: "keys",
      name: "metadata-identity",
      why: "without it every backup is sent as if it were the first",
      run: (how) => metadataIdentity(world, how),
    },
    {
      group: "keys",
      name: "key-files",
      why: "whoever can read them can log in or write to the store as this machine does",
      run: () => keyFiles(world),
    },
  ];
}

async function recipients(world: World): Promise<Line[]> {
  const { keys } = world.loaded.policy;
  const found = await world.recipients;
  const kind = found[0]?.startsWith("age1pq1") ? "post-quantum" : "X25519";
  const own = await readIdentityFile(keys.metadata_identity_file).catch(() => undefined); // told by another check
  const readable = own ? await recipientsOf(own.identities) : [];
  if (found.some((recipient) => readable.includes(recipient))) {
    const what = "the metadata identity is a recovery identity: this machine can read all backups";
    return [
      fail(what, "make keys anew with drops keygen --to DIRECTORY, and name both files of it in the policy"),
    ];
  }
  const count = found.length === 1 ? "1 recovery recipient" : `${found.length} recovery recipients`;
  return [ok(`everything is sealed to ${count} (${kind})`)];
}

async function signingKey(world: World): Promise<Line[]> {
  const { signing_key_file: file, trusted_signers: named } = world.loaded.policy.keys;
  const { publicKey } = await loadSigner(file);
  const shown = fingerprint(publicKey);
  const lines: Line[] = [];
  if (named.length > 0 && !named.some((signer) => samePublicKey(signer, publicKey))) {
    const what = `${file} (${shown}) is not among keys.trusted_signers: other machines do not trust its signatures`;
    lines.push(warn(what, `add to keys.trusted_signers: ${publicKey}`));
  }
  const newest = await world.records.then(
    ({ catalog }) => catalog.snapshots.findLast(({ signer }) => signer !== undefined),
    () => undefined, // told of the store
  );
  if (newest?.signer !== undefined && !samePublicKey(newest.signer, publicKey)) {
    const what = `snapshot ${newest.record.id} was signed by another key (${fingerprint(newest.signer)})`;
    lines.push(warn(what, "note both keys on the recovery sheet, and find out who else writes snapshots"));
  }
  return lines.length > 0 ? lines : [ok(`the signing key is ${shown}`)];
}

async function metadataIdentity(world: World, how: Cancel): Promise<Line[]> {
  const { metadata_identity_file: file } = world.loaded.policy.keys;
  const { identities } = await readIdentityFile(file);
  const reached = await world.records.then(
    () => true,
    () => false,
  );
  if (!reached) {
    const what = `${file} is an identity; whether it opens manifests is not known: the repository was not read`;
    return [{ result: "unable", what, fix: "correct the problems of the store first" }];
  }
  const sealed = await newestManifest(world, how);
  if (!sealed) return [ok(`${file} is an identity; there is no snapshot yet that it could open`)];
  try {
    await opens(sealed, identities);
    return [
      ok(`the metadata identity opens the manifest of ${sealed.source} in snapshot ${sealed.snapshot.id}`),
    ];
  } catch (error) {
    if (!isFailure(error, "key/wrong")) throw error;
    const what = `${file} does not open the manifest of ${sealed.source} in snapshot ${sealed.snapshot.id}`;
    return [
      warn(
        what,
        "bring the old identity back, or leave it: the next backup sends everything and seals to the new one",
      ),
    ];
  }
}

async function keyFiles({ loaded: { policy } }: World): Promise<Line[]> {
  const named = [
    policy.host === "local" ? undefined : policy.host.ssh.key_file,
    "s3" in policy.store ? policy.store.s3.credentials_file : undefined,
    policy.keys.signing_key_file,
    policy.keys.metadata_identity_file,
  ];
  const files = named.filter((file) => file !== undefined);
  const lines = await Promise.all(files.map(modeOf));
  const wrong = lines.filter((line) => line !== undefined);
  return wrong.length > 0 ? wrong : [ok(`only their owners can read the ${files.length} files of keys`)];
}

async function modeOf(file: string): Promise<Line | undefined> {
  try {
    const { mode } = await stat(file);
    if ((mode & OPEN_TO_OTHERS) === 0) return undefined;
    const shown = (mode & 0o7777).toString(8).padStart(4, "0");
    return fail(`${file} is open to other users (mode ${shown})`, `chmod 600 ${file}`);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
    return fail(`${file} cannot be looked at: ${code}`, `ls -l ${file}`);
  }
}
