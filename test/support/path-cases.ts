import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { appendFile, mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openPathReplacement } from "../../src/guided/paths/replacement.ts";
import type { Replacement } from "../../src/guided/run/replacement.ts";
import type { Host } from "../../src/host/host.ts";
import { openLocalHost } from "../../src/host/local.ts";
import { PackPool } from "../../src/pack/pool.ts";
import type { FilesPolicy, RocksdbPolicy } from "../../src/policy/schema.ts";
import type { SnapshotRecord } from "../../src/snapshot/record.ts";
import type { ReplacementCase } from "../contracts/replacement.ts";
import { fixedBytes } from "./fixed-bytes.ts";
import { type TinyEntry, TinyRepository, type TinySource } from "./tiny-repository.ts";

export const RUN = "20261124T003638-a1b2c3";

export interface PathCase extends ReplacementCase {
  /** The directory that stands for the host's. */
  readonly at: string;
  readonly host: Host;
  /** Through another host. */
  openOn(host: Host): Replacement;
  /** All paths below `at` with type, inode, mode, owner, time, content; of drops' own nothing. */
  fingerprint(path?: string): string;
  readonly record: SnapshotRecord;
}

export interface PathRow {
  readonly name: string;
  /** Shell in the host's directory, as `$AT`: what is there before. */
  readonly before: string;
  readonly after?: string;
  /** What is captured, and where the policy has it; paths relative to the host's directory. */
  readonly sources: (at: string) => readonly RowSource[];
  /** What the record says that its sources could not read. */
  readonly incomplete?: string;
  /** Shell in it: fails unless what was captured is in place. */
  readonly isNew: string;
  /** Of what is changed to be found out; relative; a file. */
  readonly spoiled: string;
  /** Directories that hold what is replaced: their time changes, and some are made. */
  readonly holders?: readonly string[];
}

export interface RowSource extends Omit<TinySource, "name" | "entries"> {
  readonly policy: FilesPolicy | RocksdbPolicy;
  readonly entries: readonly (Omit<TinyEntry, "path" | "target"> & {
    readonly path: string;
    readonly target?: string;
    /** Seed of its content. */
    readonly text?: string;
    readonly bytes?: Buffer;
  })[];
}

export function filesAt(
  name: string,
  paths: readonly string[],
  more: Partial<FilesPolicy> = {},
): FilesPolicy {
  return {
    name,
    kind: "files",
    paths: [...paths],
    exclude: [],
    optional: false,
    one_file_system: true,
    ...more,
  };
}

/** A host with something in place, and a snapshot of something else. */
export async function pathCase(
  row: PathRow,
  more: { readonly host?: Host; readonly at?: string } = {},
): Promise<PathCase> {
  const at = more.at ?? (await mkdtemp(join(tmpdir(), "drops-test-")));
  const sh = (script: string) =>
    execFileSync("sh", ["-ec", `cd "$AT"; ${script}`], {
      env: { ...process.env, AT: at, LC_ALL: "C" },
      encoding: "utf8",
    });
  for (const name of ["srv", "notes", "scratch"]) mkdirSync(join(at, name));
  sh(row.before);
  const tiny = await TinyRepository.create();
  const sources = await Promise.all(
    row.sources(at).map(async ({ policy, entries, ...rest }) => {
      const whole: TinyEntry[] = [];
      for (const { text, bytes, ...entry } of entries) {
        const content = text === undefined ? bytes : fixedBytes(text, 3000);
        whole.push(content?.length ? { ...entry, chunks: await tiny.pack(content) } : entry);
      }
      const source = await tiny.source({ ...rest, name: policy.name, kind: policy.kind, entries: whole });
      const error = { code: "source/failed", message: row.incomplete ?? "" };
      return { policy, record: row.incomplete === undefined ? source : { ...source, error } };
    }),
  );
  const { record: snapshot } = await tiny.commit(sources.map(({ record }) => record));
  const host = more.host ?? (await openLocalHost());
  const pool = new PackPool(1);
  const openOn = (other: Host): Replacement =>
    openPathReplacement({
      host: other,
      run: RUN,
      snapshot,
      sources,
      parts: { store: tiny.store, identities: [tiny.identity], pool },
      scratch: join(at, "scratch"),
      directory: join(at, "notes"),
    });
  const fingerprint = (path = "srv"): string => {
    const find = `[ ! -e "$AT/${path}" ] || find "$AT/${path}" -name '.drops-restore-*' -prune -o -printf '%P %y %i %m %U:%G %T@ %l\\n' | sort`;
    const content = `find "$AT/${path}" -name '.drops-restore-*' -prune -o -type f -exec sha256sum {} + 2>/dev/null | sort -k2`;
    const lines = sh(`${find}; ${content} || :`).split("\n");
    const holders = ["", ...(row.holders ?? [])];
    return lines.filter((line) => !holders.some((holder) => line.startsWith(`${holder} d `))).join("\n");
  };
  return {
    at,
    host,
    record: snapshot,
    openOn,
    open: () => openOn(host),
    fingerprint,
    look: async () => fingerprint(),
    assertNew: async () => {
      assert.doesNotThrow(() => sh(row.isNew));
    },
    leftOvers: async () => [
      ...sh("find . -name '.drops-restore-*'").split("\n").filter(Boolean),
      ...readdirSync(join(at, "scratch")),
    ],
    spoil: async () => {
      const beside = sh(
        `find . -path '*/.drops-restore-*/new-*' -path '*/${row.spoiled}' -o -path '*/.drops-restore-*/new-*' -type f`,
      ).split("\n")[0];
      await appendFile(join(at, beside ? beside : `srv/${row.spoiled}`), "x");
    },
    async [Symbol.asyncDispose]() {
      if (row.after !== undefined) sh(row.after);
      await pool[Symbol.asyncDispose]();
      if (!more.host) await host[Symbol.asyncDispose]();
      rmSync(at, { recursive: true, force: true });
    },
  };
}
