import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { RequestGate } from "./request-gate.ts";
import { RoundsData } from "./rounds-data.ts";
import { type DeskOptions, openRoundsDesk, type RoundsDesk } from "./rounds-desk.ts";
import { RoundsLook, type Seen, type SeenFigures } from "./rounds-look.ts";
import type { TestS3 } from "./s3.ts";
import { scratchDirectory } from "./scratch.ts";
import { seededRandom } from "./seeded-random.ts";
import type { Ended, Fate } from "./struck-process.ts";

const KEEP = "keep: { last: 3, daily: 0, weekly: 0, monthly: 0, yearly: 0 }";
const MORE = `${KEEP}
prune: { max_share: 100, max_shrink: 100 }
checkpoint: { after: 1h, after_bytes: 1MiB }
sources:
`;
const ARGS = { backup: ["backup", "--json"], prune: ["prune", "--yes", "--json"] } as const;
/**
 * 11: the store's answer came too late, as for one that was stopped in between. 20: what a backup refers to was taken away, or
 * is about to be. 22: a backup stood still before its commit; something spoke against a prune.
 */
const FORESEEN: readonly number[] = [0, 11, 20, 22];

type Verb = keyof typeof ARGS;

export interface RoundsOptions {
  readonly s3: TestS3;
  readonly seed: number;
  readonly constants: DeskOptions["constants"];
  /** For how long a process is stopped at most. */
  readonly mostStallMs: number;
}

export interface RoundReport extends Seen {
  /** `backup killed before request 12`, `prune left alone, ended with 0`. */
  readonly words: readonly string[];
}

/**
 * Backups and prunes as processes of their own, at once, on one bucket of a real server; each may be killed or stopped at
 * any of its requests. Time is real, and the repository's waits are seconds: what was condemned goes within a few rounds.
 */
export class PruneRounds implements AsyncDisposable {
  readonly #options: RoundsOptions;
  readonly #random: () => number;
  readonly #stack: AsyncDisposableStack;
  readonly #data: RoundsData;
  readonly #dataDirectory: string;
  readonly #desk: RoundsDesk;
  readonly #look: RoundsLook;
  readonly #gates: Readonly<Record<Verb, readonly RequestGate[]>>;
  /** Of one that was left alone. */
  readonly #usual = { backup: { requests: 0, ms: 0 }, prune: { requests: 0, ms: 0 } };
  /** By verb and end: `backup killed`. */
  readonly ends = new Map<string, number>();
  /** What those said that failed without having been killed. */
  readonly failures = new Map<string, number>();

  private constructor(
    options: RoundsOptions,
    stack: AsyncDisposableStack,
    parts: {
      readonly random: () => number;
      readonly data: RoundsData;
      readonly dataDirectory: string;
      readonly desk: RoundsDesk;
      readonly gates: Readonly<Record<Verb, readonly RequestGate[]>>;
    },
  ) {
    this.#options = options;
    this.#stack = stack;
    this.#random = parts.random;
    this.#data = parts.data;
    this.#dataDirectory = parts.dataDirectory;
    this.#desk = parts.desk;
    this.#gates = parts.gates;
    this.#look = new RoundsLook(parts.desk.store, parts.desk.repository, parts.desk.keys);
  }

  /** One backup and one prune are done. */
  static async open(options: RoundsOptions): Promise<PruneRounds> {
    await using stack = new AsyncDisposableStack();
    const random = seededRandom(options.seed);
    const { path: directory } = stack.use(await scratchDirectory());
    const dataDirectory = join(directory, "data");
    const data = new RoundsData(dataDirectory, random);
    const { s3, constants } = options;
    const more = MORE + data.sources;
    const desk = stack.use(await openRoundsDesk({ s3, directory, policy: "rounds", more, constants }));
    const gates = {
      backup: [await desk.openGate(), await desk.openGate()],
      prune: [await desk.openGate(), await desk.openGate()],
    };
    const parts = { random, data, dataDirectory, desk, gates };
    const rounds = new PruneRounds(options, stack.move(), parts);
    const wanted = await data.change();
    for (const verb of ["backup", "prune"] as const)
      rounds.#learn(verb, await desk.must(rounds.#gate(verb), ARGS[verb]));
    await rounds.#look.around(wanted);
    return rounds;
  }

  get figures(): SeenFigures {
    return this.#look.figures;
  }

  /** Data changes; backups and prunes run at once, some are struck; then everything listed is looked at. */
  async round(): Promise<RoundReport> {
    const wanted = await this.#data.change();
    const verbs: (readonly [Verb, number])[] = [
      ["backup", 0],
      ["prune", 0],
    ];
    if (this.#random() < 0.25) verbs.push(["backup", 1]);
    if (this.#random() < 0.25) verbs.push(["prune", 1]);
    const chosen = verbs.map(([verb, at]) => ({
      verb,
      gate: this.#gate(verb, at),
      fate: this.#fateOf(verb),
    }));
    const words = await Promise.all(chosen.map((one) => this.#one(one)));
    return { words, ...(await this.#look.around(wanted)) };
  }

  /** Every pack of every snapshot is read and compared; the command line says the same. */
  async verify(): Promise<void> {
    await this.#look.everything();
    const { identityFile } = this.#desk;
    await this.#desk.must(this.#gate("backup"), ["verify", "--read-data", "--identity", identityFile]);
  }

  /** Left alone, prunes take away all that nothing needs. Answers how many they were, and in how many milliseconds. */
  async settle(): Promise<{ readonly prunes: number; readonly ms: number }> {
    const began = performance.now();
    const { condemn_after, delete_after } = this.#options.constants;
    const patience = 3000 * (condemn_after + delete_after) + 900_000;
    for (let prunes = 1; ; prunes++) {
      await this.#desk.must(this.#gate("prune"), ARGS.prune);
      await this.#look.around(new Map()); // nothing is new
      const left = await this.#look.unneeded();
      const ms = performance.now() - began;
      if (left.length === 0) return { prunes, ms };
      assert.ok(ms < patience, `nothing needs these, and they are not removed: ${left.join(", ")}`);
      await sleep(1000);
    }
  }

  /** The newest and the oldest snapshot are restored, and compared with what was there when they were made. */
  async restoreBothEnds(): Promise<void> {
    const complete = (await this.#look.records()).filter(({ state }) => state === "complete");
    const [oldest, newest] = [complete[0], complete.at(-1)];
    assert.ok(oldest && newest);
    for (const { id } of [oldest, newest]) {
      await using to = await scratchDirectory();
      const where = ["--snapshot", id, "--to", join(to.path, "restored")];
      const args = ["restore", ...where, "--identity", this.#desk.identityFile];
      await this.#desk.must(this.#gate("backup"), args);
      for (const [source, files] of this.#look.contentsOf(id)) {
        const place = join(to.path, "restored", source, this.#dataDirectory, source);
        for (const [name, content] of files) {
          assert.ok((await readFile(join(place, name))).equals(content), `${source}/${name} of ${id}`);
        }
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  #gate(verb: Verb, at = 0): RequestGate {
    return this.#gates[verb][at] ?? assert.fail("no such gate");
  }

  #learn(verb: Verb, { requests, ms }: Ended): void {
    this.#usual[verb] = { requests: Math.max(this.#usual[verb].requests, requests), ms };
  }

  #fateOf(verb: Verb): Fate | undefined {
    const [cast, dice, share] = [this.#random(), this.#random(), this.#random()];
    const { requests, ms } = this.#usual[verb];
    const nth = 1 + Math.floor(share * requests);
    const at = { nth, when: dice < 0.5 ? "before" : "after" } as const;
    if (cast < 0.35) return undefined;
    if (cast < 0.45) return { kind: "killed", at: { afterMs: Math.round(share * ms) } };
    if (cast < 0.85) return { kind: "killed", at };
    return { kind: "stalled", at, stallMs: Math.round(500 + this.#random() * this.#options.mostStallMs) };
  }

  /** One process. What became of it, in words. */
  async #one({
    verb,
    gate,
    fate,
  }: {
    verb: Verb;
    gate: RequestGate;
    fate: Fate | undefined;
  }): Promise<string> {
    const ended = await this.#desk.run(gate, ARGS[verb], fate);
    const { exit, struck, stderr } = ended;
    const isKilled = fate?.kind === "killed" && struck;
    if (!fate) this.#learn(verb, ended);
    assert.ok(
      exit === undefined ? isKilled : FORESEEN.includes(exit),
      `${verb} ended with ${exit}: ${stderr}`,
    );
    const end = exit === undefined ? "" : `, ended with ${exit}`;
    addTo(this.ends, `${verb} ${fate && struck ? fate.kind : "left alone"}${end}`);
    if (exit) addTo(this.failures, sentenceOf(verb, stderr));
    return `${verb} ${fate && struck ? inWords(fate) : "left alone"}${end}`;
  }
}

function inWords({ kind, at, stallMs }: Fate): string {
  const where = "nth" in at ? `${at.when} request ${at.nth}` : `after ${at.afterMs} ms`;
  return `${kind} ${where}${stallMs === undefined ? "" : ` for ${stallMs} ms`}`;
}

/** Without what differs from run to run. */
function sentenceOf(verb: Verb, stderr: string): string {
  const said = stderr.split("\n").find((line) => line.startsWith("drops: ")) ?? stderr;
  return `${verb}: ${said.replace("drops: ", "").replaceAll(/[0-9a-f]{16,}/g, "…")}`;
}

function addTo(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
