import { hash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { recoveryPrefix } from "../store/keys.ts";

/**
 * What lies in the store for whoever has no drops: the script, how to use it, and the general runbook. The script's name is its SHA-256, which
 * belongs on the recovery sheet: a script from a bucket is not to be believed otherwise.
 */
export async function recoveryObjects(): Promise<{ key: string; bytes: Buffer }[]> {
  const script = await readFile(new URL("./recover.sh", import.meta.url));
  const name = `${hash("sha256", script, "hex")}.sh`;
  const readme = await readFile(new URL("./recover-readme.md", import.meta.url), "utf8");
  const runbook = await readFile(new URL("../../RECOVERY.md", import.meta.url));
  return [
    { key: `${recoveryPrefix}${name}`, bytes: script },
    { key: `${recoveryPrefix}README.md`, bytes: Buffer.from(readme.replaceAll("@SCRIPT@", name)) },
    { key: `${recoveryPrefix}RECOVERY.md`, bytes: runbook },
  ];
}
