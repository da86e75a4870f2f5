import type { Cancel } from "../lib/cancel.ts";
import { DropsError, isFailure } from "../lib/errors.ts";
import { inBytes } from "../lib/units.ts";
import { AbsolutePath, Name } from "../policy/fields.ts";
import { Policy, type StorePolicy } from "../policy/schema.ts";
import { parseStoreUrl } from "../store/store-url.ts";
import type { Found } from "./look.ts";
import type { Choices } from "./policy-text.ts";
import { filesAt, isIn, leftOut, nameFor, type Suggestion, suggest } from "./suggest.ts";

/** One line, as typed. Throws interrupted when the person leaves. */
export interface Interviewer {
  ask(question: string, how: Cancel): Promise<string>;
}

export interface InterviewParts {
  readonly interviewer: Interviewer;
  readonly say: (line: string) => void;
  /** What is offered when nothing is typed. Directories are absolute, without a slash at the end. */
  readonly defaults: { readonly name: string; readonly zone: string; readonly keys: string };
  readonly parseHost: (words: string) => { user?: string; address: string; port?: number };
  /** Look at the host, changing nothing. Throws what `lookFor` and connecting throw. */
  readonly look: (host: Choices["host"], sshKey: string | undefined) => Promise<Found>;
  /** Where a path of the host leads to when symlinks are followed. Throws what connecting throws. */
  readonly realPath: (path: string, host: Choices["host"], sshKey: string | undefined) => Promise<string>;
}

/** Of a host that was not looked at. */
const NOTHING: Found = { rocksdb: [], databases: [], states: [], leadsTo: {}, others: [], notes: [] };
/** How often an answer that is none is asked for again. */
const TRIES = 5;

/** Every question of a first policy, each with what is taken when nothing is typed. Writes nothing. */
export async function interview(parts: InterviewParts, how: Cancel): Promise<Choices> {
  const { defaults } = parts;
  const asker = new Asker(parts, how);
  const name = await asker.text("what is backed up is called", defaults.name, checkedBy(Name));
  const host = await asker.text(
    "the machine to back up: local for this one, or user@address",
    "local",
    (text): Choices["host"] => (text === "local" ? text : parts.parseHost(text)),
  );
  const sshKey =
    host === "local"
      ? undefined
      : await asker.text("private key for it; empty: as ssh finds it (agent, ~/.ssh)", "", pathOrNothing);
  const zone = await asker.text(
    "days are those of the time zone",
    defaults.zone,
    checkedBy(Policy.shape.zone),
  );
  const found = await lookIfWanted(parts, asker, host, sshKey);
  const realPath = async (path: string) => (found === NOTHING ? path : parts.realPath(path, host, sshKey));
  const sources = await chooseSources(asker, found, { realPath, say: parts.say });
  const store = await asker.text(
    "where backups go: a directory, or s3://BUCKET/PREFIX?endpoint=https://…",
    `/srv/backups/${name}`,
    parseStoreUrl,
  );
  const keys = await asker.text("directory of the keys", defaults.keys, checkedBy(AbsolutePath));
  const credentialsFile = await credentialsOf(asker, store, keys);
  return { name, zone, host, sshKey, store, credentialsFile, keys, sources };
}

/** Questions with defaults; an answer that does not do is explained and asked for again. */
export class Asker {
  readonly #parts: Pick<InterviewParts, "interviewer" | "say">;
  readonly #how: Cancel;

  constructor(parts: Pick<InterviewParts, "interviewer" | "say">, how: Cancel) {
    this.#parts = parts;
    this.#how = how;
  }

  /** `read` throws a DropsError whose message says what is wrong. Throws usage/invalid after several such answers. */
  async text<Value>(question: string, instead: string, read: (text: string) => Value): Promise<Value> {
    const offered = instead === "" ? "" : ` [${instead}]`;
    for (let tries = 1; ; tries++) {
      const typed = (await this.#parts.interviewer.ask(`${question}${offered}: `, this.#how)).trim();
      try {
        return read(typed === "" ? instead : typed);
      } catch (error) {
        if (!isFailure(error) || tries === TRIES) throw error;
        this.#parts.say(`  ${withHint(error)}`);
      }
    }
  }

  yes(question: string): Promise<boolean> {
    return this.text(`${question} (yes or no)`, "yes", (text) => {
      if (/^y(es)?$/i.test(text)) return true;
      if (/^no?$/i.test(text)) return false;
      throw new DropsError("usage/invalid", "yes or no");
    });
  }
}

async function lookIfWanted(
  parts: InterviewParts,
  asker: Asker,
  host: Choices["host"],
  sshKey: string | undefined,
): Promise<Found> {
  if (!(await asker.yes("look at it for databases and services, changing nothing"))) return NOTHING;
  try {
    const found = await parts.look(host, sshKey);
    for (const note of found.notes) parts.say(`  ${note}`);
    return found;
  } catch (error) {
    if (!isFailure(error) || isFailure(error, "interrupted")) throw error;
    parts.say(`  ${withHint(error)}`);
    return NOTHING;
  }
}

async function chooseSources(
  asker: Asker,
  found: Found,
  parts: Pick<InterviewParts, "say"> & { readonly realPath: (path: string) => Promise<string> },
): Promise<Suggestion[]> {
  const chosen: Suggestion[] = [];
  for (const each of suggest(found)) if (await asker.yes(`back up ${inWords(each)}`)) chosen.push(each);
  for (const { path, bytes } of leftOut(found))
    parts.say(
      `  left out: ${path} (${inBytes(bytes)}), which no running service names; name it below if it matters`,
    );
  const taken = new Set(chosen.map(({ name }) => name));
  const reals = new Map(Object.entries(found.leadsTo));
  const add = async (path: string) => {
    const real = await parts.realPath(path);
    const files = chosen.flatMap(({ name, what }) =>
      what.kind === "files" ? [{ name, real: reals.get(what.path) ?? what.path }] : [],
    );
    const above = files.find((other) => isIn(real, other.real));
    if (above) return parts.say(`  ${path} is in source ${above.name} already`);
    reals.set(path, real);
    const name = nameFor(path.split("/").findLast((part) => part !== "") ?? "files", "", taken);
    const others = { rocksdb: found.rocksdb, files: files.map((other) => other.real) };
    chosen.push(filesAt({ path, real }, name, [], others));
  };
  if (chosen.length === 0) await add(await asker.text("a directory to back up", "", checkedBy(AbsolutePath)));
  for (;;) {
    const path = await asker.text("another directory to back up; empty: no more", "", pathOrNothing);
    if (path === undefined) return chosen;
    await add(path);
  }
}

/** A failure as one line in the middle of an interview. */
export function withHint({ message, hint }: DropsError): string {
  return hint === undefined ? message : `${message} (${hint})`;
}

function inWords({ what, units }: Suggestion): string {
  const whose = units.length === 0 ? "" : `, of ${units.join(", ")}`;
  if (what.kind === "postgres")
    return `the PostgreSQL database ${what.database}${what.container === undefined ? "" : ` in container ${what.container}`}${whose}`;
  return what.kind === "rocksdb" ? `the RocksDB in ${what.path}${whose}` : `${what.path}${whose}`;
}

async function credentialsOf(asker: Asker, store: StorePolicy, keys: string): Promise<string | undefined> {
  if ("directory" in store) return undefined;
  if (store.s3.credentials_file !== undefined) return store.s3.credentials_file;
  const question = "file with AWS_ACCESS_KEY_ID=… and AWS_SECRET_ACCESS_KEY=… lines, 0600";
  return asker.text(question, `${keys}/s3`, checkedBy(AbsolutePath));
}

function pathOrNothing(text: string): string | undefined {
  return text === "" ? undefined : checkedBy(AbsolutePath)(text);
}

interface Schema<Value> {
  safeParse(
    text: string,
  ): { success: true; data: Value } | { success: false; error: { issues: { message: string }[] } };
}

function checkedBy<Value>(schema: Schema<Value>): (text: string) => Value {
  return (text) => {
    const read = schema.safeParse(text);
    if (read.success) return read.data;
    throw new DropsError("usage/invalid", `expected ${read.error.issues[0]?.message ?? "something else"}`);
  };
}
