import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DropsError } from "../../src/lib/errors.ts";
import { WRITTEN_BY } from "./unit-files.ts";

const SHARED = "drops-failed@.service";
const OURS = /^drops-(?:alert-)?[a-z]+@(?<policy>[a-z0-9-]+)\.(service|timer)$/;

export interface Changed {
  readonly written: readonly string[];
  readonly removed: readonly string[];
}

/**
 * Bring the units of one policy into `directory`: those that differ are written, those that are wanted no more are
 * removed, all others stay untouched. Throws safety/refused, before anything is written, over a file that somebody else made.
 */
export async function syncUnits(
  directory: string,
  policy: string,
  wanted: ReadonlyMap<string, string>,
): Promise<Changed> {
  await mkdir(directory, { recursive: true });
  const present = await readdir(directory);
  const own = present.filter((name) => OURS.exec(name)?.groups?.["policy"] === policy);
  const before = new Map<string, string>();
  for (const name of new Set([...own, ...wanted.keys()])) {
    if (!present.includes(name)) continue;
    const text = await readFile(join(directory, name), "utf8");
    if (!text.startsWith(WRITTEN_BY))
      throw new DropsError("safety/refused", `${join(directory, name)} was not written by install-systemd`, {
        hint: "move it away",
      });
    before.set(name, text);
  }
  const written = [...wanted].filter(([name, text]) => before.get(name) !== text).map(([name]) => name);
  for (const name of written) await replace(join(directory, name), wanted.get(name) ?? "");
  const removed = own.filter((name) => !wanted.has(name));
  if (wanted.size === 0 && present.includes(SHARED) && (await isLast(directory, policy)))
    removed.push(SHARED);
  for (const name of removed) await rm(join(directory, name));
  return { written: written.sort(), removed: removed.sort() };
}

/** Whether no other policy has units here. */
async function isLast(directory: string, policy: string): Promise<boolean> {
  const others = (await readdir(directory)).map((name) => OURS.exec(name)?.groups?.["policy"]);
  return !others.some((name) => name !== undefined && name !== policy);
}

/** systemd never sees half a unit. */
async function replace(path: string, text: string): Promise<void> {
  await writeFile(`${path}.part`, text, { mode: 0o644 });
  await rename(`${path}.part`, path);
}
