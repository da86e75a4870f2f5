import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdirSync, mkdtempSync, openSync, readdirSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { until } from "./until.ts";

export interface RocksdbWriter extends AsyncDisposable {
  /** The live database. */
  readonly directory: string;
  /** Its parent, for copies; removed with the writer. */
  readonly scratch: string;
  readonly families: number;
  /** The newest batch that the library has taken for sure. */
  published(): number;
  /** Resolves when so many batches have been published. */
  reached(batches: number): Promise<void>;
  /** Names of staging directories beside the database. */
  staging(): readonly string[];
  /** End it as a crash would. */
  kill(): Promise<void>;
}

/** A process that writes to a RocksDB database without rest until disposed; it ends by itself when this one dies. */
export async function startRocksdbWriter(
  how: { families?: number; pauseMs?: number; walCompression?: "zstd" | "none" } = {},
): Promise<RocksdbWriter> {
  const families = how.families ?? 40;
  const scratch = mkdtempSync(join(tmpdir(), "drops-rocksdb-"));
  const directory = join(scratch, "db");
  const publishIn = join(scratch, "published");
  mkdirSync(directory);
  const script = fileURLToPath(new URL("./rocksdb-writer-child.ts", import.meta.url));
  const settings = [String(families), String(how.pauseMs ?? 0), how.walCompression ?? "zstd"];
  const child = spawn(process.execPath, [script, directory, publishIn, ...settings], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  await Promise.race([once(child.stdout, "data"), failedEarly(child)]);
  const file = openSync(publishIn, "r");
  const number = Buffer.alloc(8);
  const published = () => {
    readSync(file, number, 0, 8, 0);
    return Number(number.readBigUInt64LE());
  };
  return {
    directory,
    scratch,
    families,
    published,
    reached: async (batches) => {
      await until(
        `it has written ${batches} batches`,
        () => published() >= batches || child.exitCode !== null,
      );
    },
    staging: () => readdirSync(scratch).filter((name) => name.startsWith(".drops-staging-")),
    kill: () => kill(child),
    async [Symbol.asyncDispose]() {
      await kill(child);
      closeSync(file);
      rmSync(scratch, { recursive: true, force: true });
    },
  };
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill("SIGKILL");
  await gone;
}

async function failedEarly(child: ChildProcess): Promise<never> {
  const [exit] = await once(child, "exit");
  throw new Error(`the RocksDB writer ended with ${exit} before its first batch`);
}
