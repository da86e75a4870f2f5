import { expectSuccess } from "../../../host/expect-success.ts";
import type { Host } from "../../../host/host.ts";
import { ByteInput } from "../../../lib/byte-input.ts";
import type { Cancel } from "../../../lib/cancel.ts";
import { DropsError } from "../../../lib/errors.ts";
import type { RocksdbPolicy } from "../../../policy/schema.ts";
import { logNames, newestOptions } from "../formats/file-names.ts";
import { parseOptions, type RocksdbOptions } from "../formats/options-file.ts";
import { type Accepted, FreezeJudge } from "../verify/accept.ts";
import type { FrozenReport, Hello } from "./report.ts";

/** Logs, MANIFEST and small files up to this size cross the connection once and stay in memory until they are shipped. */
const KEPT_BYTES = 32 * 1024 * 1024;
const MAX_SMALL = 8 * 1024 * 1024;

export interface Proof {
  readonly accepted: Accepted;
  readonly options: RocksdbOptions | undefined;
  readonly identity: string | undefined;
  /** Bytes that were kept, cut already; empty when there were too many. */
  readonly kept: ReadonlyMap<string, Buffer>;
}

/** Read what an attempt left in staging, as one stream, and judge it. Throws a Rejection when it is not one state. */
export async function proveFrozen(
  source: RocksdbPolicy,
  hello: Hello,
  report: FrozenReport,
  how: Cancel & { readonly host: Host },
): Promise<Proof> {
  const names = readOrder(report);
  const sizeOf = (name: string) => (name === TAIL ? report.tailSize : (report.files.get(name)?.size ?? 0));
  const total = names.reduce((sum, name) => sum + sizeOf(name), 0);
  const keeper = new Keeper(total <= KEPT_BYTES);
  const list = names.map((name) => (name === TAIL ? "tail\0" : `s/${name}\0`)).join("");
  const argv = ["sh", "-c", 'cd -- "$1" && exec xargs -0 -r cat --', "drops-rocksdb", hello.stage];
  await using command = await how.host.start(argv, how);
  command.stdin.end(list);
  const bytes = new ByteInput(command.stdout, () => logsUnread("the stream ended early"));
  try {
    const proof = await judge({ source, hello, report, names, sizeOf, bytes, keeper });
    if (await bytes.hasMore()) throw logsUnread("too many bytes");
    await expectSuccess(command, "reading the frozen logs");
    return proof;
  } finally {
    await bytes.close(); // a command that is still writing shall notice
  }
}

function logsUnread(why: string): DropsError {
  return new DropsError("host/command-failed", `reading the frozen logs: ${why}`);
}

const TAIL = "";

/** OPTIONS and IDENTITY, the MANIFEST, what it grew by, then logs from old to new. */
function readOrder(report: FrozenReport): readonly string[] {
  const names = [...report.files.keys()];
  const small = names.filter((name) => name === "IDENTITY" || name.startsWith("OPTIONS-"));
  return [...small, report.manifest, TAIL, ...logNames(names)];
}

async function judge(at: {
  source: RocksdbPolicy;
  hello: Hello;
  report: FrozenReport;
  names: readonly string[];
  sizeOf: (name: string) => number;
  bytes: ByteInput;
  keeper: Keeper;
}): Promise<Proof> {
  const { report, bytes, keeper, sizeOf } = at;
  const logs = at.names.filter((name) => name.endsWith(".log"));
  const small = at.names.slice(0, at.names.indexOf(report.manifest));
  const read = async (name: string, see: (chunk: Buffer) => void) => {
    for await (const chunk of bytes.pieces(sizeOf(name))) {
      see(chunk);
      if (name !== TAIL) keeper.add(name, chunk);
    }
  };
  const texts = new Map<string, string>();
  for (const name of small) {
    if (sizeOf(name) > MAX_SMALL)
      throw new DropsError("source/failed", `${name} of ${at.source.path} is too large`);
    const parts: Buffer[] = [];
    await read(name, (chunk) => void parts.push(Buffer.from(chunk)));
    texts.set(name, Buffer.concat(parts).toString("utf8"));
  }
  const newest = newestOptions(texts.keys());
  const options = newest === undefined ? undefined : parseOptions(texts.get(newest) ?? "");
  const judgement = new FreezeJudge({
    manifest: report.manifest,
    firstLogs: report.firstLogs,
    sizes: new Map([...report.files.values()].map((file) => [file.name, file.size])),
    recyclesLogs: options?.recyclesLogs ?? false,
    chained: !(options?.twoPhaseCommit ?? false),
  });
  await read(report.manifest, (chunk) => judgement.manifest(chunk));
  const wanted = new Set(judgement.manifestEnd().wanted);
  refuseLogsElsewhere(wanted.size, options, at);
  await read(TAIL, (chunk) => judgement.tail(chunk));
  judgement.tailEnd();
  for (const name of logs) {
    const log = wanted.has(name) ? judgement.wal(name) : undefined;
    await read(name, (chunk) => log?.push(chunk));
    log?.end();
  }
  const accepted = judgement.verdict();
  return { accepted, options, identity: texts.get("IDENTITY")?.trim(), kept: keeper.cut(accepted.keep) };
}

/** A database that is in use always has a log; none here means that they are kept in another directory. */
function refuseLogsElsewhere(
  logs: number,
  options: RocksdbOptions | undefined,
  at: { source: RocksdbPolicy; hello: Hello },
): void {
  if (logs > 0) return;
  const plain = [undefined, at.source.path, at.hello.database].map((path) => path?.replace(/\/+$/, ""));
  if (options !== undefined && plain.includes(options.walDirectory?.replace(/\/+$/, ""))) return;
  const where = options?.walDirectory ?? "an unknown directory";
  throw new DropsError("source/failed", `${at.source.path} keeps its write-ahead logs in ${where}`, {
    hint: "remove wal_dir from the options of the database: logs must be in the directory of the tables",
  });
}

/** Keeps copies of what passes by, or nothing when there is too much of it. */
class Keeper {
  readonly #on: boolean;
  readonly #parts = new Map<string, Buffer[]>();

  constructor(on: boolean) {
    this.#on = on;
  }

  add(name: string, chunk: Buffer): void {
    if (!this.#on) return;
    const parts = this.#parts.get(name) ?? [];
    parts.push(Buffer.from(chunk));
    this.#parts.set(name, parts);
  }

  cut(keep: ReadonlyMap<string, number>): ReadonlyMap<string, Buffer> {
    if (!this.#on) return new Map();
    const whole = [...this.#parts].map(([name, parts]) => [name, Buffer.concat(parts)] as const);
    return new Map(whole.map(([name, bytes]) => [name, bytes.subarray(0, keep.get(name) ?? bytes.length)]));
  }
}
