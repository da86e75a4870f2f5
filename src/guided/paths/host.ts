import { readFileSync } from "node:fs";
import { commandFailed, expectSuccess } from "../../host/expect-success.ts";
import type { CommandResult, Host } from "../../host/host.ts";
import type { Cancel } from "../../lib/cancel.ts";
import { DropsError } from "../../lib/errors.ts";
import { SWAPPED_HINT } from "../../restore/extract.ts";
import type { Few } from "../../source/files/few.ts";
import { FIND_FORMAT, readFindOutput } from "../../source/files/find-output.ts";
import { Listing } from "../../source/files/listing.ts";
import { type PathPart, PathRecord } from "./record.ts";
import { type PartLook, parseLook } from "./state.ts";

const SCRIPT = readFileSync(new URL("./host.sh", import.meta.url), "utf8");
const NOT_STAGED = 60;
const IN_THE_WAY = 61;
const SWAPPED = 63;
const AT_WORK = 75;

/** `-`: nothing; `o`: something else. */
export type HostKind = "d" | "f" | "l" | "o" | "-";

/** A path of the host: where its name lies, and where it leads. */
export interface HostPlace {
  /** Symlinks followed up to the last name. */
  readonly spot: string;
  readonly spotKind: HostKind;
  /** Symlinks followed to the end. */
  readonly real: string;
  readonly realKind: HostKind;
}

/** The nearest thing at or above a path that exists. */
export interface Ground {
  readonly path: string;
  readonly device: string;
  readonly uid: number;
  readonly gid: number;
  readonly freeBytes: number;
  /** Of inodes; undefined where the file system has no fixed number of them. */
  readonly freeFiles: number | undefined;
}

/** The part of the work on paths that the host does. */
export class PathHost {
  readonly #host: Host;
  /** The run's directory on the host. */
  readonly #notes: string;
  readonly #name: string;
  readonly #what: string;
  /** As it was last seen there: whether it still is so, is looked at each time. */
  #known: { readonly text: string; readonly record: PathRecord } | undefined;

  /** @param where `what` is what is restored, for sentences */
  constructor(host: Host, where: { readonly notes: string; readonly name: string; readonly what: string }) {
    this.#host = host;
    this.#what = where.what;
    this.#notes = where.notes;
    this.#name = where.name;
  }

  async probe(
    paths: readonly string[],
    how: Cancel,
  ): Promise<{ readonly places: ReadonlyMap<string, HostPlace>; readonly mounts: readonly string[] }> {
    const { stdout } = await this.#run(["probe", ...paths], "looking at paths", how);
    const fields = stdout.toString().split("\0");
    const places = paths.map((path, index): [string, HostPlace] => {
      const [spot = "", spotKind, real = "", realKind] = fields.slice(4 * index, 4 * index + 4);
      return [path, { spot, spotKind: spotKind as HostKind, real, realKind: realKind as HostKind }];
    });
    return { places: new Map(places), mounts: mountPoints(fields[4 * paths.length] ?? "") };
  }

  async ground(paths: readonly string[], how: Cancel): Promise<readonly Ground[]> {
    const { stdout } = await this.#run(["ground", ...paths], "looking at free space", how);
    const fields = stdout.toString().split("\0");
    return paths.map((_, index) => {
      const [path = "", device = "", ...numbers] = fields.slice(8 * index, 8 * index + 8);
      const [uid = 0, gid = 0, blocks = 0, blockSize = 0, freeFiles = 0, files = 0] = numbers.map(Number);
      const freeBytes = blocks * blockSize;
      return { path, device, uid, gid, freeBytes, freeFiles: files > 0 ? freeFiles : undefined };
    });
  }

  /** What was noted, and what is there of each path in it. Throws data/damaged when the record cannot be read. */
  async look(how: Cancel): Promise<{
    readonly record: PathRecord | undefined;
    readonly looks: readonly PartLook[];
    readonly mounts: readonly string[];
  }> {
    for (;;) {
      const { stdout } = await this.#verb("look", this.#known?.record, "", how);
      const [text = "", mounts = "", ...looks] = stdout.toString().split("\0");
      if (text === "") return { record: undefined, looks: [], mounts: [] };
      if (text === this.#known?.text) {
        const { record } = this.#known;
        return { record, looks: looks.slice(0, -1).map(parseLook), mounts: mountPoints(mounts) };
      }
      this.#known = { text, record: this.#parse(text) };
    }
  }

  /** Resolves when it is on disk. */
  async note(record: PathRecord, how: Cancel): Promise<void> {
    await this.#note("", Buffer.from(`${JSON.stringify(record)}\n`), how);
  }

  /** Which paths of the old the next swap moves on into the new; raw. Resolves when it is on disk. */
  async noteCarried({ id }: PathPart, paths: readonly string[], how: Cancel): Promise<void> {
    await this.#note(`.${id}.carry`, carryList(paths), how);
  }

  /** What is below a part in place, or below its old, wherever that is; and paths that are too long. Throws host/command-failed. */
  async list(
    which: "old" | "place",
    { real, work, mode, id }: PathPart,
    how: Cancel,
  ): Promise<{ readonly listing: Listing; readonly long: Few }> {
    const format = FIND_FORMAT.replace("%p", "/%P");
    const argv = [`list-${which}`, this.#notes, this.#name, format, real, work, mode, id];
    await using find = await this.#host.start(["sh", "-c", SCRIPT, "drops-paths", ...argv], how);
    find.stdin.end();
    const listing = new Listing();
    const { long } = await readFindOutput(find.stdout, listing);
    await expectSuccess(find, `looking for what no source takes in ${real} on ${this.#host.label}`);
    await listing.sort();
    return { listing, long };
  }

  /** Take back what is half swapped, remove what was staged, make the directories for another try. */
  async begin(record: PathRecord, attempt: string, how: Cancel): Promise<void> {
    await this.#verb("begin", record, attempt, how);
  }

  /** What was brought is put on disk and marked as whole. */
  async whole(record: PathRecord, attempt: string, how: Cancel): Promise<void> {
    await this.#verb("whole", record, attempt, how);
  }

  async act(verb: "swap" | "unswap" | "discard" | "finish", record: PathRecord, how: Cancel): Promise<void> {
    await this.#verb(verb, record, "", how);
  }

  #parse(text: string): PathRecord {
    try {
      return PathRecord.parse(JSON.parse(text));
    } catch (cause) {
      throw new DropsError(
        "data/damaged",
        `${this.#notes}/${this.#name} on ${this.#host.label} cannot be read`,
        {
          hint: "it tells which paths belong to the restore; the old data is in .drops-restore-* beside them",
          cause,
        },
      );
    }
  }

  async #note(suffix: string, text: Buffer, how: Cancel): Promise<void> {
    const argv = ["note", this.#notes, this.#name, String(text.length), suffix];
    await this.#run(argv, "noting what is restored", how, text);
  }

  #verb(verb: string, record: PathRecord | undefined, attempt: string, how: Cancel): Promise<CommandResult> {
    const parts = (record?.parts ?? []).flatMap(({ real, work, mode, id }) => [real, work, mode, id]);
    const parents = (record?.parents ?? []).flatMap((path) => [path, "-", "parent", "-"]);
    const argv = [verb, this.#notes, this.#name, attempt, ...parts, ...parents];
    return this.#run(argv, `${VERBS[verb] ?? verb} ${this.#what}`, how);
  }

  async #run(argv: readonly string[], what: string, how: Cancel, stdin?: Buffer): Promise<CommandResult> {
    const ended = await this.#host.run(["sh", "-c", SCRIPT, "drops-paths", ...argv], {
      signal: how.signal,
      ...(stdin === undefined ? {} : { stdin }),
      okExits: [0, 1, NOT_STAGED, IN_THE_WAY, SWAPPED, AT_WORK],
    });
    if (ended.exit === 0) return ended;
    const words = ended.stderr.trim();
    if (/No space left|Disk quota exceeded/i.test(words))
      throw new DropsError("space/low", `${what} on ${this.#host.label}: no space is left`, {
        hint: "df -h; df -i",
      });
    if (ended.exit === 1) throw commandFailed(`${what} on ${this.#host.label}`, ended);
    throw new DropsError("safety/refused", `${what} on ${this.#host.label}: ${words}`, {
      hint: HINTS[ended.exit ?? 0],
    });
  }
}

const VERBS: Readonly<Record<string, string>> = {
  look: "looking at",
  begin: "preparing a place for",
  whole: "completing",
  swap: "swapping",
  unswap: "putting back",
  discard: "removing what was brought for",
  finish: "removing the old",
};
const HINTS: Readonly<Record<number, string>> = {
  [NOT_STAGED]: "stage it first: drops restore --resume",
  [IN_THE_WAY]: "look what it is; move it away by hand, then drops restore --resume",
  [SWAPPED]: `${SWAPPED_HINT}, then drops restore --resume`,
  [AT_WORK]: "wait for it, then drops restore --resume",
};

/** As the host's script reads it: directories above them, outer ones first, then the paths. */
function carryList(paths: readonly string[]): Buffer {
  const directories = new Set<string>();
  for (const path of paths) {
    directories.add("");
    for (let end = path.indexOf("/"); end > 0; end = path.indexOf("/", end + 1))
      directories.add(path.slice(0, end));
  }
  const outerFirst = [...directories].toSorted((a, b) => a.length - b.length);
  const line = (letter: string) => (path: string) =>
    `${letter}/${path.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")}\n`;
  return Buffer.from([...outerFirst.map(line("d")), ...paths.map(line("p"))].join(""), "latin1");
}

/** From the text of /proc/self/mountinfo. */
export function mountPoints(mountinfo: string): readonly string[] {
  const fields = mountinfo.split("\n").map((line) => line.split(" ")[4]);
  return fields.filter((field) => field !== undefined).map(unescaped);
}

/** The kernel writes space, tab, newline and backslash as three octal digits. */
function unescaped(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}
