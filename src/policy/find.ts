import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { DropsError, systemCode } from "../lib/errors.ts";

/** Where policies are looked up by name. */
export const POLICY_DIRS: readonly string[] = ["/etc/drops"];

export interface PolicyPlaces {
  /** The value of DROPS_POLICY, when set. */
  readonly fromEnv: string | undefined;
  /** Directories that hold NAME.yaml, first match wins; usually /etc/drops. */
  readonly dirs: readonly string[];
}

/**
 * The policy file that was meant: `wanted` (a file, or a name looked up in the directories), else what the
 * environment says, else the only *.yaml there is. Throws usage/invalid.
 */
export async function findPolicy(wanted: string | undefined, places: PolicyPlaces): Promise<string> {
  const word = wanted ?? (places.fromEnv === "" ? undefined : places.fromEnv);
  if (word !== undefined && /[/.]/.test(word)) return word;
  const found = (await Promise.all(places.dirs.map(policiesIn))).flat();
  const dirs = places.dirs.join(" or ");
  if (word !== undefined) {
    const named = found.find((each) => each.name === word);
    if (named) return named.file;
    throw new DropsError("usage/invalid", `no policy named ${word} in ${dirs}`, { hint: choices(found) });
  }
  const [only, ...others] = found;
  if (only && others.length === 0) return only.file;
  const problem = only ? `several policies in ${dirs}: which one` : `no policy given and none in ${dirs}`;
  throw new DropsError("usage/invalid", problem, { hint: choices(found) });
}

/**
 * Where a policy that is not there yet would be written: `{ file }`, undefined for one whose name is not said either.
 * Undefined when there is a policy already. Throws usage/invalid.
 */
export async function placeForPolicy(
  wanted: string | undefined,
  places: PolicyPlaces,
): Promise<{ readonly file: string | undefined } | undefined> {
  const word = wanted ?? (places.fromEnv === "" ? undefined : places.fromEnv);
  const found = (await Promise.all(places.dirs.map(policiesIn))).flat();
  if (word === undefined) return found.length > 0 ? undefined : { file: undefined };
  const isPath = /[/.]/.test(word);
  if (!isPath && found.some(({ name }) => name === word)) return undefined;
  const file = isPath ? word : join(places.dirs[0] ?? ".", `${word}.yaml`);
  const isThere = await stat(file).then(
    () => true,
    (error: unknown) => systemCode(error) !== "ENOENT",
  );
  return isThere ? undefined : { file };
}

/** Of every policy in these directories. Throws usage/invalid when one cannot be listed. */
export async function policyNames(dirs: readonly string[]): Promise<string[]> {
  return (await Promise.all(dirs.map(policiesIn))).flat().map(({ name }) => name);
}

interface Found {
  readonly name: string;
  readonly file: string;
}

async function policiesIn(dir: string): Promise<Found[]> {
  let names: string[];
  try {
    names = await readdir(dir);
  } catch (error) {
    if (systemCode(error) === "ENOENT") return [];
    throw new DropsError("usage/invalid", `cannot list the policies of ${dir}`, {
      hint: "--policy FILE",
      cause: error,
    });
  }
  return names
    .filter((name) => name.endsWith(".yaml"))
    .sort()
    .map((name) => ({ name: name.slice(0, -".yaml".length), file: join(dir, name) }));
}

function choices(found: readonly Found[]): string {
  if (found.length === 0) return "drops init makes one; or --policy FILE, or set DROPS_POLICY";
  return found.map(({ name }) => `--policy ${name}`).join("  or  ");
}
