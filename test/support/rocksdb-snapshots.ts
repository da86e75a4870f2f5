import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Host } from "../../src/host/host.ts";
import type { RocksdbPolicy } from "../../src/policy/schema.ts";
import { freezeRocksdb } from "../../src/source/rocksdb/capture/capture.ts";
import type { CaptureContext, SourceFacts } from "../../src/source/source.ts";
import { type CollectingSink, collectingSink } from "./collecting-sink.ts";
import { openAndCheck } from "./rocksdb-library.ts";
import type { RocksdbWriter } from "./rocksdb-writer.ts";

/** A policy for the database at `path` with small demands. */
export function rocksdbPolicy(path: string, more: Partial<RocksdbPolicy> = {}): RocksdbPolicy {
  return { name: "db", kind: "rocksdb", path, mode: "hot", min_free: "1MiB", ...more };
}

export function captureContext(host: Host, more: Partial<CaptureContext> = {}): CaptureContext {
  return {
    host,
    policyName: "test",
    sources: [],
    rereadShare: 0,
    now: () => new Date(),
    random: Math.random,
    say: () => {},
    signal: AbortSignal.timeout(600_000),
    ...more,
  };
}

/** The same host, on which the freeze script rests before each of its steps, as if every one were a round trip. */
export function slowedHost(host: Host, seconds: number): Host {
  const slower = (script: string) => {
    const [before = "", rest = ""] = script.split("link_all() {\n");
    const [steps = "", after = ""] = rest.split("\n}\n", 1).concat(rest.slice(rest.indexOf("\n}\n")));
    const rested = steps.replace(
      /^ {2}(?=(link_into|read_current|ln |cp |find [wo]|tail )\b)/gm,
      `  sleep ${seconds}\n  `,
    );
    if (rested === steps) throw new Error("the freeze script has no steps to slow down");
    return `${before}link_all() {\n${rested}${after}`;
  };
  return {
    label: host.label,
    user: host.user,
    run: (argv, how) => host.run(argv, how),
    start: (argv, how) =>
      host.start(
        argv.map((word) => (word.includes("link_all() {") ? slower(word) : word)),
        how,
      ),
    [Symbol.asyncDispose]: () => host[Symbol.asyncDispose](),
  };
}

/** Write what a sink collected as a directory. */
export function materialise(sink: CollectingSink, directory: string): void {
  mkdirSync(directory, { recursive: true });
  for (const entry of sink.entries)
    writeFileSync(join(directory, entry.path.toString()), sink.bytes(entry.path.toString()));
}

export interface HotSnapshot {
  readonly freezeMs: number;
  readonly rejected: readonly { readonly reason: string; readonly text: string }[];
  readonly facts: SourceFacts;
  readonly counter: number;
}

/** One snapshot of a busy database, taken, shipped, and opened by the real library. Throws when anything is wrong. */
export async function hotSnapshot(writer: RocksdbWriter, host: Host): Promise<HotSnapshot> {
  const published = writer.published();
  const signal = AbortSignal.timeout(600_000);
  const started = performance.now();
  const sink = collectingSink();
  let facts: SourceFacts;
  let freezeMs: number;
  {
    await using frozen = await freezeRocksdb(
      rocksdbPolicy(writer.directory),
      captureContext(host, { signal }),
    );
    freezeMs = performance.now() - started;
    facts = frozen.facts;
    await frozen.ship(sink, { signal });
  }
  const copy = mkdtempSync(join(writer.scratch, "copy-"));
  try {
    materialise(sink, copy);
    const { counter, sequence } = await openAndCheck(copy, { families: writer.families, published });
    if (String(sequence) !== facts["sequence"]) {
      throw new Error(`opened at write ${sequence}, the snapshot claims ${String(facts["sequence"])}`);
    }
    return { freezeMs, facts, counter, rejected: facts["rejected_attempts"] as HotSnapshot["rejected"] };
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}
