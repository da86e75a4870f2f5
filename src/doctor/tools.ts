import { isSame, type OwnUser } from "../host/as-user.ts";
import type { Policy, SourcePolicy } from "../policy/schema.ts";
import type { HostLook } from "./host-look.ts";
import { fail, type Line, ok, warn } from "./types.ts";

/** Debian's package of a tool; everything else here is of coreutils. */
const PACKAGES: Readonly<Record<string, string>> = {
  find: "findutils",
  xargs: "findutils",
  tar: "tar",
  flock: "util-linux",
  setpriv: "util-linux",
  sudo: "sudo",
  getent: "libc-bin",
};

const GNU: Readonly<Record<string, RegExp>> = {
  tar: /\(GNU tar\) (\S+)/,
  find: /\(GNU findutils\) (\S+)/,
};

const OF_KIND: Readonly<Record<SourcePolicy["kind"], readonly string[]>> = {
  files: ["find", "tar", "readlink", "getent", "date"],
  // what source/rocksdb/host-script.sh asks for
  rocksdb: [
    "readlink",
    "stat",
    "mktemp",
    "find",
    "flock",
    "cp",
    "dd",
    "ln",
    "sort",
    "xargs",
    "tail",
    "dirname",
    "id",
  ],
  postgres: ["find", "flock", "mktemp", "df", "cat", "tail"],
  command: [],
};

/** Why each tool is wanted: names of the policy's sources, or the users that are to be become. */
export function wantedTools(policy: Policy, own: OwnUser): ReadonlyMap<string, readonly string[]> {
  const wanted = new Map<string, string[]>();
  const want = (tool: string, by: string) => {
    wanted.set(tool, [...new Set([...(wanted.get(tool) ?? []), by])]);
  };
  for (const source of policy.sources.filter(isOfHost)) {
    for (const tool of OF_KIND[source.kind]) want(tool, source.name);
    const user = "run_as" in source ? source.run_as : undefined;
    if (user === undefined || isSame(user, own)) continue;
    want(own.uid === 0 ? "setpriv" : "sudo", source.name);
    if (own.uid === 0) want("getent", source.name);
  }
  return wanted;
}

/** The tools of what runs in a container are the container's. */
function isOfHost(source: SourcePolicy): boolean {
  return source.kind !== "postgres" || source.container === undefined;
}

/** Pure: which of them are missing, or not GNU's where that matters. */
export function judgeTools(wanted: ReadonlyMap<string, readonly string[]>, { tools }: HostLook): Line[] {
  const lines = [...wanted].flatMap(([tool, by]) => judgeTool(tool, by, tools.get(tool)));
  if (lines.length > 0 || wanted.size === 0) return lines;
  const versions = [...wanted.keys()].flatMap((tool) => {
    const version = versionOf(tool, tools.get(tool));
    return version === undefined ? [] : [`GNU ${tool} ${version}`];
  });
  const others = wanted.size - versions.length;
  return [ok(`${[...versions, ...(others > 0 ? [`${others} other tools`] : [])].join(", ")} are there`)];
}

/** `said`: undefined when it is missing, else the first line of its version. */
function judgeTool(tool: string, by: readonly string[], said: string | undefined): Line[] {
  const name = PACKAGES[tool] ?? "coreutils";
  const fix = `install the package ${name} there, on Debian: apt-get install ${name}`;
  if (said === undefined) return [fail(`${tool} is missing on the host, wanted for ${by.join(", ")}`, fix)];
  if (!GNU[tool] || versionOf(tool, said) !== undefined) return [];
  return [fail(`${tool} on the host is not GNU's, wanted for ${by.join(", ")}`, fix)];
}

function versionOf(tool: string, said: string | undefined): string | undefined {
  return GNU[tool]?.exec(said ?? "")?.[1];
}

/** Pure: whether hard links to the files of another user's database can be made. */
export function judgeHardlinks(policy: Policy, own: OwnUser, look: HostLook): Line[] {
  const hot = policy.sources.filter(({ kind }) => kind === "rocksdb");
  if (hot.length === 0) return [];
  if (look.protectedHardlinks === undefined)
    return [warn("whether the kernel protects hard links cannot be seen", "sysctl fs.protected_hardlinks")];
  const who =
    own.uid === 0 ? "root may make them to anybody's files" : `${own.name} only to files of its own`;
  return [ok(`fs.protected_hardlinks is ${look.protectedHardlinks ? `on: ${who}` : "off"}`)];
}
