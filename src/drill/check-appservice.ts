import { readFile, realpath, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Cancel } from "../lib/cancel.ts";
import type { AppservicePolicy, Policy } from "../policy/schema.ts";
import { checkAppservice as crossCheck } from "../source/appservice/check.ts";
import { localDatabase } from "../source/rocksdb/verify/database-files.ts";
import { failed, passed } from "./checks.ts";
import type { DrillContext, DrilledSource, DrillPolicy } from "./drill-context.ts";

const LARGEST = 1024 * 1024;
const WHAT = "registration, bridge and homeserver fit together";

/** Whether registration, bridge and homeserver fit together, where the policy says which ones they are: a check for each thing. */
export async function checkAppservice(
  { book }: DrillContext,
  policy: DrillPolicy | undefined,
  sources: readonly DrilledSource[],
  how: Cancel,
): Promise<void> {
  const appservice = policy?.policy.restore.appservice;
  if (!policy || !appservice) {
    if (policy) book.skip(WHAT, "the policy has no restore.appservice");
    return;
  }
  const missing = neededSources(policy.policy, appservice).filter(
    (name) => !sources.some((source) => source.name === name),
  );
  if (missing.length > 0) return book.skip(WHAT, `not restored: ${missing.join(", ")}`);
  const homeserver = sources.find(({ name }) => name === appservice.homeserver);
  const [registration, config] = [
    await restoredFile(sources, appservice.registration),
    await restoredFile(sources, appservice.config),
  ];
  const findings = await crossCheck(
    { registration, config, homeserver: homeserver && localDatabase(homeserver.directory) },
    how,
  );
  for (const { name, ok, found, hint } of findings) {
    const work = async () => (ok ? passed(found) : failed(found, hint));
    await book.run({ id: `appservice/${name}`, source: "appservice", name }, work, how);
  }
  if (!homeserver)
    book.skip("the homeserver's own copy of the registration", "restore.appservice names no homeserver");
}

/** The sources that hold the files, by the policy's paths, and the homeserver's. */
function neededSources(policy: Policy, { registration, config, homeserver }: AppservicePolicy): string[] {
  const holders = [registration, config].map((path) =>
    policy.sources.find(
      (source) => source.kind === "files" && source.paths.some((root) => isBelow(path, root)),
    ),
  );
  const names = [...holders.map((source) => source?.name), homeserver];
  return [...new Set(names.filter((name) => name !== undefined))];
}

/** A small file of the restored trees, wherever it was; undefined when it is in none, or a link out of its tree. */
async function restoredFile(
  sources: readonly DrilledSource[],
  path: string,
): Promise<Uint8Array | undefined> {
  for (const { kind, directory } of sources) {
    if (kind !== "files") continue;
    const real = await realpath(join(directory, path)).catch(() => undefined);
    if (real === undefined || !isBelow(real, await realpath(directory))) continue;
    const found = await stat(real);
    if (found.isFile() && found.size <= LARGEST) return readFile(real);
  }
  return undefined;
}

function isBelow(path: string, root: string): boolean {
  const base = root.replace(/\/+$/, "");
  return path === base || path.startsWith(`${base}/`);
}
