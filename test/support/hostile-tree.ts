import { hash } from "node:crypto";
import type { BigIntStats } from "node:fs";
import {
  chmod,
  chown,
  link,
  lstat,
  mkdir,
  open,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { fixedBytes } from "./fixed-bytes.ts";
import { runTool } from "./scratch.ts";

const MiB = 1024 * 1024;

/** Names that a shell script, a text format or a careless join gets wrong. */
const NAMES: readonly (string | Buffer)[] = [
  "line\nbreak",
  "ends in a newline\n",
  "\n",
  " leading and trailing ",
  "tab\there",
  "-leading-dash",
  "--",
  "-rf *",
  "*",
  "~",
  "...",
  "..hidden",
  "$(touch pwned) `touch pwned` $HOME",
  "back\\slash \\x41 \\n",
  "quote' and \" quote",
  "percent %41 %00 %s",
  "b:Li4vLi4=",
  "u:x",
  "colon: # not a comment",
  "naïve-ünïcode-☃-😀",
  "e\u0301 decomposed",
  "\u007f\u0001\u001b[31m",
  "\ufeffbyte order mark",
  "\uffff\u2028",
  Buffer.from([0xff, 0xfe, 0x80]),
  Buffer.concat([Buffer.from("latin1-"), Buffer.from([0xe4, 0x0a])]),
  Buffer.from([0xed, 0xa0, 0x80]), // a surrogate in UTF-8, which UTF-8 has none of
  "n".repeat(255),
];

const TIMES: readonly string[] = ["@0", "@0.5", "@-0.5", "@-1.5", "@1.000000001", "@4102444800.999999999"];

/** Only root reads what nobody may read, and gives files away. */
const IS_ROOT = process.getuid?.() === 0;

/** A directory of everything that a files source may meet. */
export async function buildHostileTree(root: string): Promise<void> {
  const at = (name: string | Buffer) =>
    Buffer.concat([Buffer.from(`${root}/`), typeof name === "string" ? Buffer.from(name) : name]);
  await mkdir(root);
  for (const [index, name] of NAMES.entries()) await writeFile(at(name), `content ${index}`);
  await writeFile(at("empty"), "");
  await writeFile(at("large"), fixedBytes("large", 7 * MiB + 1));
  await sparseFile(at("sparse"));
  for (const name of ["dir\n", "closed", "with space/ deeper/-x"]) await mkdir(at(name), { recursive: true });
  await writeFile(at("dir\n/inside\n"), "inside");
  await writeFile(at("closed/inside"), "inside");
  await links(root, at);
  await runTool("mkfifo", `${root}/fifo`);
  for (const mode of [...(IS_ROOT ? [0o000] : []), 0o400, 0o644, 0o755, 0o4755, 0o2711, 0o1666]) {
    await writeFile(at(`mode ${mode.toString(8)}`), mode.toString(8));
    await chmod(at(`mode ${mode.toString(8)}`), mode);
  }
  await writeFile(at("owned"), "owned");
  if (IS_ROOT) await chown(at("owned"), 12_345, 54_321);
  for (const time of TIMES) {
    await writeFile(at(`time ${time}`), time);
    await runTool("touch", "-d", time, `${root}/time ${time}`);
  }
  await runTool("setfattr", "-n", "user.drops", "-v", "0x00ff0a", `${root}/owned`);
  await runTool("touch", "-h", "-d", "2001-02-03 04:05:06.789012345", `${root}/to nowhere`);
  await runTool("touch", "-d", "1999-12-31 23:59:59.123456789", `${root}/closed`, root);
  await chmod(at("closed"), 0o500);
}

/** The next night: something of every kind is changed, moved, removed or added. */
export async function changeHostileTree(root: string): Promise<void> {
  await writeFile(`${root}/line\nbreak`, "another content");
  await rename(`${root}/empty`, `${root}/empty\nand moved`);
  await rm(`${root}/*`);
  await rm(`${root}/dir\n`, { recursive: true });
  await writeFile(`${root}/dir\n`, "a file where a directory was");
  await rm(`${root}/to a directory`);
  await mkdir(`${root}/to a directory`);
  await writeFile(`${root}/to a directory/file`, "and the reverse");
  const large = await open(`${root}/large`, "r+");
  await large.write(Buffer.from("changed"), 0, 7, 5 * MiB);
  await large.close();
  await chmod(`${root}/mode 644`, 0o600);
}

async function links(root: string, at: (name: string | Buffer) => Buffer): Promise<void> {
  await symlink("nowhere/at all", at("to nowhere"));
  await symlink("/etc/passwd", at("to outside"));
  await symlink("../../../..", at("upwards"));
  await symlink("dir\n", at("to a directory"));
  await symlink("line\nbreak\n", at("link\nwith newlines"));
  await symlink(Buffer.from([0xff, 0x0a]), at(Buffer.from([0x6c, 0xfe])));
  await link(`${root}/large`, at("another name of large"));
  await link(`${root}/-leading-dash`, at("dir\n/-hard"));
  await link(`${root}/to nowhere`, at("z another name of a symlink"));
}

async function sparseFile(path: Buffer): Promise<void> {
  const file = await open(path, "w");
  await file.write(Buffer.from("at the start"), 0, 12, 0);
  await file.write(Buffer.from("in the middle"), 0, 13, 9 * MiB + 7);
  await file.truncate(20 * MiB);
  await file.close();
}

export interface Seen {
  readonly type: string;
  readonly mode: string;
  readonly owner: string;
  readonly mtime: bigint;
  readonly size: bigint;
  /** SHA-256 of a file's content, what a symlink says. */
  readonly content?: string;
  /** The first name of the same file, when it has several. */
  readonly first?: string;
}

/** Everything below `root`, itself as "", by name with each byte as one character. */
export async function walkTree(root: string): Promise<Map<string, Seen>> {
  const seen = new Map<string, Seen>();
  const inodes = new Map<bigint, string>();
  const visit = async (name: Buffer): Promise<void> => {
    const path = joined(Buffer.from(root), name);
    const stat = await lstat(path, { bigint: true });
    const key = name.toString("latin1");
    const first = inodes.get(stat.ino) ?? key;
    inodes.set(stat.ino, first);
    seen.set(key, {
      ...(await describe(path, stat)),
      ...(stat.isFile() && stat.nlink > 1n ? { first } : {}),
    });
    if (!stat.isDirectory()) return;
    const children = await readdir(path, { encoding: "buffer" });
    for (const child of children.sort(Buffer.compare)) await visit(joined(name, child));
  };
  await visit(Buffer.alloc(0));
  return seen;
}

function joined(directory: Buffer, name: Buffer): Buffer {
  if (directory.length === 0) return name;
  return name.length === 0 ? directory : Buffer.concat([directory, Buffer.from("/"), name]);
}

async function describe(path: Buffer, stat: BigIntStats): Promise<Seen> {
  const common = {
    mode: (stat.mode & 0o7777n).toString(8),
    owner: `${stat.uid}:${stat.gid}`,
    mtime: stat.mtimeNs,
    size: stat.isDirectory() ? 0n : stat.size,
  };
  if (stat.isSymbolicLink())
    return { type: "symlink", ...common, content: (await readlink(path, "buffer")).toString("latin1") };
  if (stat.isFile()) return { type: "file", ...common, content: hash("sha256", await readFile(path), "hex") };
  return { type: stat.isDirectory() ? "dir" : stat.isFIFO() ? "fifo" : "other", ...common };
}
