import assert from "node:assert/strict";
import { chmod, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { SnapshotRecord } from "../../src/snapshot/record.ts";
import { openDirectoryStore } from "../../src/store/directory.ts";
import { type Rehearsal, rehearse } from "./rehearsal.ts";
import { scratchDirectory } from "./scratch.ts";
import { type Answer, StandardTools } from "./standard-tools.ts";

/** What recover.sh is asked; what is left out is as it should be. */
export interface Recovery {
  readonly snapshot: string;
  /** Where to. */
  readonly out: string;
  readonly repository?: string;
  readonly policy?: string;
  readonly signer?: string;
  readonly sources?: readonly string[];
  readonly script?: string;
  /** A numeric id to become first. */
  readonly user?: number;
  /** Options of the script. */
  readonly options?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export interface Recoverable extends AsyncDisposable {
  readonly scratch: string;
  readonly rehearsal: Rehearsal;
  readonly tools: StandardTools;
  readonly repository: string;
  /** The policy's folder in it. */
  readonly folder: string;
  /** The recovery identity's file. */
  readonly identity: string;
  /** The script in the repository. */
  readonly script: string;
  /** A path that nothing has yet. */
  newPath(name: string): string;
  recover(how: Recovery): Promise<Answer>;
  /** Paths of the packs in a list, both from the policy's folder. */
  packsIn(list: string): Promise<string[]>;
}

/**
 * A repository in a directory, as the real backup makes it, and the standard tools to open it with. `sources` as for
 * `rehearse`; no night has passed yet. `more` programs beside the standard tools, by their Debian package.
 */
export async function recoverable(
  sources: string,
  more: Readonly<Record<string, readonly string[]>> = {},
): Promise<Recoverable> {
  const directory = await scratchDirectory();
  const scratch = directory.path;
  await chmod(scratch, 0o755);
  const repository = join(scratch, "repository");
  const folder = join(repository, "rehearsal");
  const rehearsal = await rehearse({
    sources,
    store: await openDirectoryStore(repository, { create: true }),
  });
  const identity = join(scratch, "identity.txt");
  await writeFile(identity, `# recovery identity\n${rehearsal.recovery.identity}\n`);
  const found = (await readdir(join(repository, "recovery"))).filter((name) => name.endsWith(".sh"));
  assert.equal(found.length, 1);
  const script = join(repository, "recovery", found[0] ?? "");
  const tools = await StandardTools.gather(scratch, more);
  let names = 0;
  return {
    ...{ scratch, rehearsal, tools, repository, folder, identity, script },
    newPath: (name) => join(scratch, `${name}-${names++}`),
    recover: (how) => {
      const { policy = "rehearsal", signer = rehearsal.signer.publicKey, user, env = {}, options = [] } = how;
      const from = [how.script ?? script, ...options, how.repository ?? repository, policy, how.snapshot];
      const argv = ["bash", ...from, identity, signer, how.out, ...(how.sources ?? [])];
      return tools.run(argv, { cwd: scratch, env, ...(user === undefined ? {} : { user }) });
    },
    packsIn: async (list) => {
      const text = await readFile(join(folder, list), "utf8");
      return [...text.matchAll(/^[0-9a-f]{64} {2}(.*)$/gm)].map(([, path = ""]) => path);
    },
    async [Symbol.asyncDispose]() {
      await rehearsal[Symbol.asyncDispose]();
      await directory[Symbol.asyncDispose]();
    },
  };
}

/** Where a record has its parts of one source, from the policy's folder. */
export function partsOf(record: SnapshotRecord, name: string): { manifest: string; list: string } {
  const part = record.sources.find((source) => source.name === name);
  assert.ok(part?.manifest && part.list);
  return { manifest: `manifests/${part.manifest.sha256}`, list: `lists/${part.list.sha256}` };
}
