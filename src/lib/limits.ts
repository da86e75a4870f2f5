/**
 * How much of what a host or a store sends is taken before it counts as hostile or broken: in bytes, entries and time. A limit is
 * several times what the largest honest answer needs, and small beside the memory of the smallest machine. What one object of a
 * repository may hold is said where its format is read.
 */
const KiB = 1024;
const MiB = 1024 * KiB;
const MINUTE_MS = 60_000;

/** An answer of an S3 server that is no object. A page of 1000 keys of 1024 bytes, each byte escaped, is 4 MiB. Bytes. */
export const MOST_ANSWER = 8 * MiB;
/** What it says beside an error. Amazon's are 1 KiB. Bytes. */
export const MOST_ERROR_ANSWER = 64 * KiB;
/** From a request to the last byte of its answer, beside the time for a body. A listing takes seconds. */
export const ANSWER_MS = 5 * MINUTE_MS;
/** What a body takes is never slower than this, or nobody ever gets done: 16 MiB are half an hour. Bytes a second. */
export const SLOWEST = 8 * KiB;

/** Objects in one listing: a repository of 60 TiB has about so many packs, and their names take 1 GiB of memory. */
export const MOST_LISTED = 4_000_000;
/** Pages of one listing: they hold 1000 names each, but a server may give fewer. */
export const MOST_PAGES = 40_000;
/** Pages without a name, one after another: servers give some where much was deleted. */
export const MOST_EMPTY_PAGES = 100;
/** Documents in a folder of which each is read: a checkpoint every hour for ten years. */
export const MOST_DOCUMENTS = 100_000;

/** Records, notes and lists that are asked for at once: a server far away answers many in the time of one. */
export const SMALL_READS_AT_ONCE = 32;

/** What a command prints where that is held, unless the caller says otherwise. Bytes. */
export const MOST_STDOUT = 16 * MiB;
/** A line of a script: how far it is, or the name of a directory. Characters. */
export const MOST_LINE = 64 * KiB;
/** The lines that answer one statement: a hundred thousand tables are 40 MiB of them. Bytes, and lines. Rows are not held. */
export const MOST_ANSWERED = 128 * MiB;
export const MOST_ROWS = 250_000;
/** The first command after a login. A login shell whose start-up files hang would else hold up everything. */
export const LOGIN_MS = MINUTE_MS;
/** A command that is waited for; none of them moves contents. Owners of a hundred million files are changed in hours. */
export const RUN_MS = 12 * 60 * MINUTE_MS;

/** known_hosts, recipients, signers, and other texts that people keep. A large company's known_hosts is 2 MiB. Bytes. */
export const MOST_TEXT = 16 * MiB;
