import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { readLines } from "./journal-lines.ts";
import { type RunTarget, targetIn } from "./run-meta.ts";

/** Older runs are not looked at. */
const NEWEST = 20;

/**
 * The machine of the run that is meant, as the operator's own journals tell: of the one of that id, else of the newest
 * that is not closed. Undefined when there is none; the host's journal is the truth.
 *
 * @param state `$XDG_STATE_HOME/drops`
 */
export async function operatorTarget(
  state: string,
  which: { readonly policy: string | undefined; readonly run: string | undefined },
): Promise<RunTarget | undefined> {
  for (const { name, path } of await newestFiles(join(state, "restore"), which.policy)) {
    if (which.run !== undefined && name !== `${which.run}.jsonl`) continue;
    const found = await openIn(path);
    if (found) return found;
  }
  return undefined;
}

async function newestFiles(folder: string, policy: string | undefined) {
  const files: { readonly name: string; readonly path: string }[] = [];
  for (const each of policy === undefined ? await namesIn(folder) : [policy]) {
    const names = await namesIn(join(folder, each));
    const journals = names.filter((name) => name.endsWith(".jsonl"));
    files.push(...journals.map((name) => ({ name, path: join(folder, each, name) })));
  }
  return files.sort((a, b) => (a.name < b.name ? 1 : -1)).slice(0, NEWEST);
}

async function openIn(path: string): Promise<RunTarget | undefined> {
  const { lines } = readLines(await readFile(path, "utf8"), path);
  if (lines.some(({ event }) => event === "closed")) return undefined;
  return targetIn(lines.find(({ event }) => event === "created")?.["target"]);
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) return [];
    throw error;
  }
}
