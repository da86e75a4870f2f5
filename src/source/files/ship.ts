import type { Cancel } from "../../lib/cancel.ts";
import { isFailure } from "../../lib/errors.ts";
import type { EntryHead, ManifestEntry } from "../../snapshot/entry.ts";
import { RegistrationWatch } from "../appservice/registration.ts";
import type { CaptureContext, SourceSink } from "../source.ts";
import type { SqliteCopies } from "../sqlite/copies.ts";
import { damagedWords, SqliteWatch, tornWords } from "../sqlite/watch.ts";
import {
  isOtherContent,
  keptEntry,
  listedHead,
  type OwnerNames,
  readHead,
  withoutContent,
} from "./entry-heads.ts";
import { Few } from "./few.ts";
import type { FileListing } from "./listing.ts";
import { Lookahead, type PlannedRead } from "./lookahead.ts";
import { type FileDecision, identityOf, planFiles } from "./plan.ts";
import { shownHostPath } from "./shown-path.ts";
import { PASSED_ON, type StderrLines } from "./stderr-lines.ts";
import type { TarSession } from "./tar-session.ts";
import type { TarEntry } from "./tar-stream.ts";
import type { UnreadFiles } from "./unread-files.ts";

/** Of the files that vanished so many are named. */
const NAMED = 20;

export interface ListedSource {
  readonly source: string;
  readonly context: CaptureContext;
  readonly listing: FileListing;
  /** The host's time before the listing began. */
  readonly listedAt: bigint;
  readonly names: OwnerNames;
  /** What is there and could not be read is added. */
  readonly unread: UnreadFiles;
  readonly databases: SqliteCopies;
}

/** Hand all files of the listing to the sink, reading what is not unchanged. */
export async function shipFiles(listed: ListedSource, into: SourceSink, how: Cancel): Promise<void> {
  const { listing, listedAt, context, source, databases } = listed;
  const reread = () => context.rereadShare > 0 && context.random() < context.rereadShare;
  const plan = planFiles(listing, into.previous(), { reread, listedAt, databases });
  await using ahead = new Lookahead(plan, listing, { host: context.host, source }, how);
  const shipping = new Shipping(listed, ahead, into, how);
  for (let step = await ahead.next(); step; step = await ahead.next()) {
    how.signal.throwIfAborted();
    await shipping.take(step);
  }
  await shipping.finish();
}

class Shipping {
  readonly #listing: FileListing;
  readonly #listed: ListedSource;
  readonly #ahead: Lookahead;
  readonly #into: SourceSink;
  readonly #how: Cancel;
  readonly #registrations: RegistrationWatch;
  readonly #watch = new SqliteWatch();
  /** Positions that a tar was asked for and passed over. */
  readonly #missing = new Map<number, TarSession>();
  /** Which name of an inode holds its content when the first one went away. */
  readonly #standIns = new Map<number, number>();
  readonly #skipped = new Few();
  /** Positions of which no entry holds the content, so that none may link to them. */
  readonly #lost = new Set<number>();
  /** How many names of an inode are in the source, by the first one's position. */
  readonly #names = new Map<number, number>();

  constructor(listed: ListedSource, ahead: Lookahead, into: SourceSink, how: Cancel) {
    this.#listing = listed.listing;
    this.#listed = listed;
    this.#ahead = ahead;
    this.#into = into;
    this.#how = how;
    this.#registrations = new RegistrationWatch((text) => into.note(text));
  }

  async take(step: PlannedRead): Promise<void> {
    const { decision } = step;
    const { position } = decision;
    this.#countName(decision);
    if (decision.act === "skip") this.#skipped.add(this.#listing.path(position));
    else if (decision.act === "copy") await this.#readCopy(position);
    else if (decision.act === "record") this.#add(this.#fromListing(position, "fifo"), position);
    else if (decision.act === "link") await this.#link(position, decision.first);
    else if (step.session)
      await this.#read(position, step.session, decision.act === "reread" ? decision.previous : undefined);
    else if (decision.act === "keep" && !this.#keep(decision.previous))
      await this.#read(position, await this.#ahead.askAgain(step));
  }

  /** Wait for every tar to end, note what it said, and take back what it could not read to its end. */
  async finish(): Promise<void> {
    const vanished = new Few(NAMED);
    const torn: Buffer[] = [];
    for (const session of this.#ahead.sessions) {
      const told = await session.finish();
      this.#noteChanged(told.changed);
      for (const { path, why, torn: isTorn } of told.unread) {
        if (path) this.#listed.unread.add({ path, why });
        if (path && isTorn) torn.push(path);
      }
      this.#listed.unread.addStrange(told.strange);
      this.#judgeMissing(session, told, vanished);
    }
    const links = torn.length > 0 ? await this.#into.drop(torn) : [];
    for (const path of links) this.#addLink(path);
    this.#note("vanished before it was read", vanished);
    this.#note("sockets and devices are not backed up", this.#skipped);
    this.#noteLinksOutside();
    await this.#judgeDatabases();
  }

  /** A database that is in use is read as the copy that was made of it. Nothing is carried over: it has changed, or may have. */
  async #readCopy(position: number): Promise<void> {
    const copy = this.#listed.databases.at(position);
    if (!copy) throw new Error("a copy that was planned is not there");
    const data = this.#listed.databases.read(copy, this.#how);
    try {
      await this.#into.file(this.#fromListing(position, "file"), data, { ...this.#how, cutting: "content" });
    } catch (error) {
      this.#lose(position, error);
    }
    const { integrity, check } = copy.facts;
    if (integrity !== "ok")
      this.#listed.unread.add({
        path: this.#listing.path(position),
        why: damagedWords(`${check} says: ${integrity}`),
      });
  }

  /** Databases of SQLite that were read as plain files: whole when nobody wrote to them meanwhile. */
  async #judgeDatabases(): Promise<void> {
    const { databases, unread } = this.#listed;
    const uncopied = new Map(databases.uncopied.map((one) => [one.position, one]));
    const read = [...new Set([...this.#watch.found, ...uncopied.keys()])];
    const paths = read.map((position) => this.#listing.path(position));
    for (const [at, { ctime, hasLog }] of (await databases.look(paths, this.#how)).entries()) {
      const [position, path] = [read[at] as number, paths[at] as Buffer];
      const known = uncopied.get(position);
      const isTorn = ctime !== undefined && (hasLog || ctime !== this.#listing.ctime(position));
      if (known?.isDamaged) unread.add({ path, why: damagedWords(known.why) });
      else if (isTorn) unread.add({ path, why: tornWords(known?.why) });
    }
  }

  #note(what: string, few: Few): void {
    if (few.count > 0) this.#into.note(`${what}: ${few}`);
  }

  /** What a tar passed over: it says why of the first few, and nothing of what it has no reason for. */
  #judgeMissing(
    session: TarSession,
    { unread, isSmooth }: StderrLines & { readonly isSmooth: boolean },
    vanished: Few,
  ): void {
    const told = new Set(unread.map(({ path }) => path?.toString("latin1")));
    const why = isSmooth ? "passed over by tar" : "it could not be read, or vanished";
    const isUnsaid = isSmooth || unread.length >= PASSED_ON || told.has(undefined);
    for (const [position, of] of this.#missing) {
      const path = this.#listing.path(position);
      if (of !== session || told.has(path.toString("latin1"))) continue;
      if (isUnsaid) this.#listed.unread.add({ path, why });
      else vanished.add(path);
    }
  }

  #addLink(path: Buffer): void {
    this.#listed.unread.add({ path, why: "another name of a file that could not be read" });
  }

  #noteChanged(changed: readonly string[]): void {
    for (const line of changed) this.#into.note(`changed while it was read: ${line}`);
    if (changed.length >= PASSED_ON) this.#into.note("changed while they were read: others as well");
  }

  /** A restore makes one file of the names that are here, and knows nothing of the others. */
  #noteLinksOutside(): void {
    const outside = new Few();
    for (const [first, names] of this.#names)
      if (names < this.#listing.links(first)) outside.add(this.#listing.path(first));
    this.#note("hard links to files outside of this source are not kept", outside);
  }

  #countName(decision: FileDecision): void {
    const { position } = decision;
    if (decision.act === "skip" || this.#listing.links(position) < 2 || this.#listing.kind(position) === "d")
      return;
    const first = decision.act === "link" ? decision.first : position;
    this.#names.set(first, (this.#names.get(first) ?? 0) + 1);
  }

  /** An entry that cannot be recorded costs itself alone. */
  #add(head: EntryHead, position: number): void {
    try {
      this.#into.add(head);
    } catch (error) {
      this.#lose(position, error);
    }
  }

  #lose(position: number, error: unknown): void {
    if (!isFailure(error, "source/failed")) throw error;
    this.#leaveOut(position, error.message);
  }

  #leaveOut(position: number, why: string): void {
    this.#lost.add(position);
    this.#listed.unread.add({ path: this.#listing.path(position), why });
  }

  #keep(previous: ManifestEntry): boolean {
    const entry = keptEntry(previous, this.#listed.names);
    if (entry.type === "file") return this.#into.keep(entry);
    this.#into.add(withoutContent(entry));
    return true;
  }

  async #link(position: number, first: number): Promise<void> {
    if (this.#lost.has(first)) {
      this.#addLink(this.#listing.path(position));
      return;
    }
    const holder = this.#missing.has(first) ? this.#standIns.get(first) : first;
    if (holder !== undefined) {
      const target = this.#listing.path(holder);
      this.#add({ ...this.#fromListing(position, "hardlink"), target }, position);
      return;
    }
    if (await this.#read(position, await this.#ahead.askAlone(position))) this.#standIns.set(first, position);
  }

  /** Read what tar was asked for; false when it passed the file over. */
  async #read(position: number, session: TarSession, previous?: ManifestEntry): Promise<boolean> {
    const path = this.#listing.path(position);
    const entry = await session.open(path);
    if (!entry) {
      this.#missing.set(position, session);
      return false;
    }
    if (entry.lacksXattrs)
      this.#listed.unread.add({
        path,
        why: "it has more than 1 MiB of extended attributes, which are left out",
      });
    const same = entry.lacksXattrs
      ? undefined // to be told of every night
      : identityOf(this.#listing, position, this.#listed.listedAt);
    if (entry.type === "device" || entry.type === "hardlink") {
      this.#skipped.add(path);
      this.#lost.add(position);
      return true;
    }
    const head = readHead(entry, path, entry.type, same);
    if (entry.type !== "file") this.#add(head, position);
    else if (entry.unusable !== undefined) this.#leaveOut(position, entry.unusable);
    else await this.#readContent(entry, head, { session, previous, position });
    return true;
  }

  async #readContent(
    entry: TarEntry,
    head: EntryHead,
    from: {
      readonly session: TarSession;
      readonly previous: ManifestEntry | undefined;
      readonly position: number;
    },
  ): Promise<void> {
    const looked = this.#watch.over(from.position, entry.data);
    const watched = head.holes ? looked : this.#registrations.watch(head.path, entry.size, looked);
    try {
      const stored = await this.#into.file(head, watched, { ...this.#how, cutting: "content" });
      if (from.previous && isOtherContent(from.previous, entry, stored.chunks))
        this.#into.note(`content changed without trace: ${shownHostPath(head.path)}`);
    } catch (error) {
      await from.session.explain(error);
      this.#lose(from.position, error);
    }
  }

  #fromListing(position: number, type: "file" | "fifo" | "hardlink"): EntryHead {
    return listedHead(this.#listing, position, type, this.#listed.names);
  }
}
