import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Cancel } from "../lib/cancel.ts";
import { someOf } from "../lib/words.ts";
import { registrationProblem } from "../source/appservice/registration.ts";
import { shownHostPath } from "../source/files/shown-path.ts";
import { type CheckFinding, failed } from "./checks.ts";
import type { DrillContext, DrilledSource } from "./drill-context.ts";

/** Registrations are small; a larger file is not looked into. */
const LARGEST = 64 * 1024;
const SHOWN = 10;

/** Every application service's registration among the restored files is well-formed. Tokens are never in the finding. */
export async function checkRegistrations(
  { book }: DrillContext,
  { name, directory }: DrilledSource,
  how: Cancel,
): Promise<void> {
  const title = {
    id: `${name}/registrations`,
    source: name,
    name: "small YAML files: every registration is well-formed",
  };
  const work = async (): Promise<CheckFinding | string> => {
    const problems: string[] = [];
    let looked = 0;
    for await (const path of yamlFiles(Buffer.from(directory), how)) {
      looked++;
      const relative = path.subarray(Buffer.byteLength(directory) + 1);
      const problem = registrationProblem(relative, await readFile(path));
      if (problem !== undefined) problems.push(`${shownHostPath(relative)} ${problem}`);
    }
    if (problems.length === 0) return looked === 0 ? "there are none" : `${looked} looked into`;
    return failed(someOf(problems, { most: SHOWN, between: "; " }));
  };
  await book.run(title, work, how);
}

/** Standard output of a command, which was not nothing. */
export async function checkCommandOutput(
  { book }: DrillContext,
  { name, directory }: DrilledSource,
  how: Cancel,
): Promise<void> {
  const title = { id: `${name}/output`, source: name, name: "what the command printed is there" };
  const work = async (): Promise<CheckFinding | string> => {
    let bytes = 0;
    for (const file of await readdir(directory)) bytes += (await stat(join(directory, file))).size;
    return bytes > 0 ? `${bytes} bytes` : failed("it is empty", "look at what the policy's command prints");
  };
  await book.run(title, work, how);
}

/** Paths of any bytes; links are not followed. */
async function* yamlFiles(directory: Buffer, how: Cancel): AsyncGenerator<Buffer> {
  for (const entry of await readdir(directory, { withFileTypes: true, encoding: "buffer" })) {
    how.signal.throwIfAborted();
    const path = Buffer.concat([directory, Buffer.from("/"), entry.name]);
    if (entry.isDirectory()) yield* yamlFiles(path, how);
    else if (
      entry.isFile() &&
      /\.ya?ml$/.test(entry.name.toString("latin1")) &&
      (await stat(path)).size <= LARGEST
    ) {
      yield path;
    }
  }
}
