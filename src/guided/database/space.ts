import { inContainer } from "../../host/container.ts";
import type { Host } from "../../host/host.ts";
import type { Cancel } from "../../lib/cancel.ts";
import type { PostgresPlace } from "../../source/postgres/client.ts";
import type { PostgresFacts } from "../../source/postgres/facts.ts";
import type { ServerLook } from "../../source/postgres/restore/server-look.ts";
import { RUNS } from "../journal/runs.ts";
import { type CheckResult, checked } from "../run/check.ts";
import { loadDirectory } from "./place.ts";
import type { DatabaseReplacementOptions } from "./replacement.ts";

/** Room for a second copy of the database beside the first, and for its dump, with a tenth more of both. */
export async function spaceCheck(
  name: string,
  { host, policy, record, run, directory }: DatabaseReplacementOptions,
  server: ServerLook,
  facts: PostgresFacts,
  how: Cancel,
): Promise<CheckResult> {
  const wanted = [
    { path: loadDirectory({ policy, run }, directory ?? `${RUNS}/${run}`), bytes: record.bytes ?? 0 },
  ];
  if (isHere(policy) && server.data_directory !== "")
    wanted.push({ path: server.data_directory, bytes: Number(facts.size_bytes) });
  const needs = new Map<string, { free: number; bytes: number; path: string }>();
  for (const { path, bytes } of wanted) {
    const { device, free } = await freeAt(inContainer(host, policy), policy, path, how);
    needs.set(device, { free, path, bytes: (needs.get(device)?.bytes ?? 0) + Math.ceil(bytes * 1.1) });
  }
  const short = [...needs.values()].filter(({ free, bytes }) => free < bytes);
  const found = [...needs.values()]
    .map(({ free, bytes, path }) => `${mebibytes(free)} are free for ${mebibytes(bytes)} in ${path}`)
    .join("; ");
  return checked(short.length === 0, name, found, "make room, or a larger disk");
}

/** Of the directory, or of the first above it that there is. As the programs' user, who may enter the server's. */
async function freeAt(
  host: Host,
  { run_as }: PostgresPlace,
  path: string,
  how: Cancel,
): Promise<{ readonly device: string; readonly free: number }> {
  const read = await host.run(["sh", "-c", FREE, "sh", path], { ...how, as: run_as, env: { LC_ALL: "C" } });
  const [device = "", , , kib = ""] = read.stdout.toString("utf8").trim().split(/\s+/);
  return { device, free: Number(kib) * 1024 };
}

const FREE = `
path=$1
while [ ! -d "$path" ] && [ "$path" != / ]; do path=\${path%/*}; path=\${path:-/}; done
df -Pk -- "$path" | tail -n 1
`;

function isHere({ host }: PostgresPlace): boolean {
  return host === undefined || host.startsWith("/") || /^(localhost|127\.|::1)/.test(host);
}

function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / (1024 * 1024))} MiB`;
}
