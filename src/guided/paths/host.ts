import { readFileSync } from "node:fs";
import { expectSuccess, writingFailed } from "../../host/expect-success.ts";
import type { CommandResult, Host } from "../../host/host.ts";
import type { Cancel } from "../../lib/cancel.ts";
import { DropsError, isFailure, refused } from "../../lib/errors.ts";
import { SWAPPED_HINT } from "../../restore/extract.ts";
import type { Few } from "../../source/files/few.ts";
import { FIND_FORMAT, readFindOutput } from "../../source/files/find-output.ts";
import { FileListing } from "../../source/files/listing.ts";
import { ownerNumbers } from "./owners.ts";
import type { Ground, HostKind, HostPlace } from "./places.ts";
import { type PathPart, PathRecord } from "./record.ts";
import { type PartLook, parseLook } from "./state.ts";

const SCRIPT = readFileSync(new URL("./host.sh", import.meta.url), "utf8");
const NOT_STAGED = 60;
const IN_THE_WAY = 61;
const SWAPPED = 63;
const AT_WORK = 75;

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
    const { rows, rest } = rowsIn(stdout, 4, paths.length);
    const places = rows.map(([spot = "", spotKind, real = "", realKind], at): [string, HostPlace] => [
      paths[at] ?? "",
      { spot, spotKind: spotKind as HostKind, real, realKind: realKind as HostKind },
    ]);
    return { places: new Map(places), mounts: mountPoints(rest[0] ?? "") };
  }

  async ground(paths: readonly string[], how: Cancel): Promise<readonly Ground[]> {
    const { stdout } = await this.#run(["ground", ...paths], "looking at free space", how);
    return rowsIn(stdout, 8, paths.length).rows.map(([path = "", device = "", ...numbers]) => {
      const [uid = 0, gid = 0, blocks = 0, blockSize = 0, freeFiles = 0, files = 0] = numbers.map(Number);
      const freeBytes = blocks * blockSize;
      return { path, device, uid, gid, freeBytes, freeFiles: files > 0 ? freeFiles : undefined };
    });
  }

  /** Numbers of owners by their names; of names that the host does not know there are none. */
  numbers(database: "passwd" | "group", names: ReadonlySet<string>, how: Cancel) {
    return ownerNumbers(this.#host, database, names, how);
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
  ): Promise<{ readonly listing: FileListing; readonly long: Few }> {
    const format = FIND_FORMAT.replace("%p", "/%P");
    const argv = [`list-${which}`, this.#notes, this.#name, format, real, work, mode, id];
    await using find = await this.#host.start(["sh", "-c", SCRIPT, "drops-paths", ...argv], how);
    find.stdin.end();
    const listing = new FileListing();
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
          hint: "this file lists the paths of the restore; the old data is in .drops-restore-* next to them",
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
    const where = `${what} on ${this.#host.label}`;
    const failure = writingFailed(where, ended);
    if (ended.exit === 1 || isFailure(failure, "space/low")) throw failure;
    throw refused(`${where}: ${ended.stderr.trim()}`, HINTS[ended.exit ?? 0]);
  }
}

/** What the script printed, each field ended by a NUL: so many rows of so many fields, and what comes after them. */
function rowsIn(stdout: Buffer, width: number, rows: number) {
  const fields = stdout.toString().split("\0");
  return {
    rows: Array.from({ length: rows }, (_, at) => fields.slice(width * at, width * (at + 1))),
    rest: fields.slice(width * rows),
  };
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
