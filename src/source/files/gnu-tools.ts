import { commandFailed } from "../../host/expect-success.ts";
import type { Host } from "../../host/host.ts";
import { ANY_EXIT } from "../../host/run-to-end.ts";
import type { Cancel } from "../../lib/cancel.ts";
import { DropsError } from "../../lib/errors.ts";

/** Messages in English, names compared byte by byte. */
export const PLAIN = { LC_ALL: "C" } as const;

/** Versions of what reads the files, for the record. */
export interface ToolVersions {
  readonly findutils: string;
  readonly tar: string;
}

/** Throws source/failed, naming the package, when the host's find or tar is missing or not GNU's. */
export async function requireGnuTools(host: Host, how: Cancel): Promise<ToolVersions> {
  const [findutils, tar] = await Promise.all([
    version(host, how, { program: "find", banner: /\(GNU findutils\) (\S+)/, package: "findutils" }),
    version(host, how, { program: "tar", banner: /\(GNU tar\) (\S+)/, package: "tar" }),
  ]);
  return { findutils, tar };
}

/** Names of these numbers, as the host knows them: `getent passwd` or `getent group`. A number without a name is left out. */
export async function ownerNames(
  host: Host,
  database: "passwd" | "group",
  numbers: ReadonlySet<number>,
  how: Cancel,
): Promise<ReadonlyMap<number, string>> {
  const names = new Map<number, string>();
  const wanted = [...numbers];
  for (let at = 0; at < wanted.length; at += 1000) {
    const argv = ["getent", database, ...wanted.slice(at, at + 1000).map(String)];
    const found = await host.run(argv, { ...how, env: PLAIN, okExits: [0, 2] }); // 2: one of them has no name
    for (const line of found.stdout.toString().split("\n")) {
      const [name, , number] = line.split(":");
      if (name && number) names.set(Number(number), name);
    }
  }
  return names;
}

/** The host's clock, in nanoseconds since 1970 (whole seconds where its date knows no better). */
export async function hostTime(host: Host, how: Cancel): Promise<bigint> {
  const { stdout } = await host.run(["date", "+%s.%N"], { ...how, env: PLAIN });
  const found = /^(\d+)\.(\d{9})?/.exec(stdout.toString());
  if (!found) throw new DropsError("host/command-failed", `date on ${host.label} did not print a time`);
  return BigInt(found[1] ?? 0) * 1_000_000_000n + BigInt(found[2] ?? 0);
}

async function version(
  host: Host,
  how: Cancel,
  tool: { readonly program: string; readonly banner: RegExp; readonly package: string },
): Promise<string> {
  const { stdout, ...ended } = await host.run([tool.program, "--version"], {
    ...how,
    env: PLAIN,
    okExits: ANY_EXIT,
  });
  const found = tool.banner.exec(stdout.toString())?.[1];
  if (found !== undefined) return found;
  const what = `${tool.program} on ${host.label}`;
  if (ended.exit === 0 || ended.exit === 127 || ended.exit === 1) {
    throw new DropsError("source/failed", `${what} is missing or not the GNU version, which drops needs`, {
      hint: `install the package ${tool.package} on the host`,
    });
  }
  throw commandFailed(what, ended);
}
