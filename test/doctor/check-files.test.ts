import assert from "node:assert/strict";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { sourceChecks } from "../../src/doctor/check-sources.ts";
import type { Line } from "../../src/doctor/types.ts";
import type { World } from "../../src/doctor/world.ts";
import type { Host } from "../../src/host/host.ts";
import { openLocalHost } from "../../src/host/local.ts";
import { freezeFiles } from "../../src/source/files/capture.ts";
import { alteredHost } from "../support/altered-host.ts";
import { collectingSink } from "../support/collecting-sink.ts";
import { scratchDirectory } from "../support/scratch.ts";

const source = { name: "media", kind: "files", exclude: [], optional: false, one_file_system: true } as const;

async function linesOf(host: Host, path: string, exclude: readonly string[] = []): Promise<readonly Line[]> {
  const loaded = { policy: { sources: [{ ...source, paths: [path], exclude }] } };
  const world = { loaded, host: Promise.resolve(host) } as unknown as World;
  const [check] = sourceChecks(world, new Map());
  return (await check?.run({ signal: new AbortController().signal })) ?? [];
}

/** What a backup notes. */
async function notesOf(host: Host, path: string): Promise<readonly string[]> {
  const { signal } = new AbortController();
  const context = {
    policyName: "test",
    sources: [],
    rereadShare: 0,
    now: () => new Date(),
    random: Math.random,
    say: () => {},
  };
  await using frozen = await freezeFiles(
    { ...source, paths: [path], exclude: [] },
    { ...context, host, signal },
  );
  const sink = collectingSink();
  await frozen.ship(sink, { signal });
  return sink.notes;
}

test("what chattr made immutable or append-only is a warning and a note with its names", async () => {
  await using scratch = await scratchDirectory();
  await using real = await openLocalHost();
  const programs = join(scratch.path, "bin");
  const data = join(scratch.path, "data");
  for (const directory of [programs, data]) await mkdir(directory);
  for (const name of ["plain", "imm", "app", "ia plain"]) await writeFile(join(data, name), "x");
  // as e2fsprogs prints it; attributes themselves need root and a file system that has them
  const lsattr = `#!/bin/sh
for path; do case $path in
  */imm) echo "----i---------e------- $path" ;;
  */app) echo "-----a--------e------- $path" ;;
  -*) ;;
  *) echo "--------------e------- $path" ;;
esac; done
`;
  await writeFile(join(programs, "lsattr"), lsattr, { mode: 0o755 });
  const within = (path: string) =>
    alteredHost(real, (argv) =>
      argv.includes("drops-lsattr") ? ["env", `PATH=${path}`, "/bin/sh", ...argv.slice(1)] : argv,
    );
  const withIt = within(`${programs}:/usr/bin:/bin`);
  const [warning, ...rest] = await linesOf(withIt, data);
  assert.equal(warning?.result, "warn");
  assert.match(warning.why ?? "", /after a restore anybody who may write can change or remove them$/);
  const namesIn = (said = "") => {
    const [, named = ""] =
      /immutable or append-only, which a restore does not bring back: (.*)$/.exec(said) ?? [];
    return named.split(", ").sort();
  };
  const both = [join(data, "app"), join(data, "imm")];
  assert.deepEqual(namesIn(warning.what), both);
  assert.deepEqual(namesIn((await notesOf(withIt, data))[0]), both);
  assert.deepEqual(
    rest.map(({ result }) => result),
    ["ok"],
  );
  const without = within("/nonexistent");
  assert.deepEqual(await notesOf(without, data), []);
  assert.deepEqual(
    (await linesOf(without, data)).map(({ result }) => result),
    ["ok"],
  );
});

test("a file system that is mounted inside is a warning", async () => {
  await using scratch = await scratchDirectory();
  await using real = await openLocalHost();
  await mkdir(join(scratch.path, "repos"));
  await writeFile(join(scratch.path, "conf"), "x");
  const script = 'mount -t tmpfs none "$1" && shift && exec "$@"';
  const mounted = alteredHost(real, (argv) => [
    ...["unshare", "--mount", "--map-root-user", "sh", "-c", script, "sh", join(scratch.path, "repos")],
    ...argv,
  ]);
  const [warning] = await linesOf(mounted, scratch.path);
  assert.equal(warning?.result, "warn");
  assert.equal(warning.why, "a restore brings back an empty directory in the place of each");
  assert.match(
    warning.what,
    /^media: other file systems are mounted inside, and are not backed up: \S+\/repos \(tmpfs\)$/,
  );
});

test("a pattern of exclude that matches nothing is said, with the path by which it was looked for", async () => {
  await using scratch = await scratchDirectory();
  await using real = await openLocalHost();
  const data = join(scratch.path, "data");
  const link = join(scratch.path, "link");
  for (const directory of ["cache/deep", "db"]) await mkdir(join(data, directory), { recursive: true });
  for (const name of ["cache/deep/a.tmp", "db/CURRENT", "db/1.sst", "plain", "odd[1]"])
    await writeFile(join(data, name), "x");
  await symlink(data, link);
  const said = async (path: string, ...exclude: string[]) => {
    const lines = await linesOf(real, path, exclude);
    return lines.map(({ result, what }) => `${result}: ${what}`).filter((line) => line.includes("exclude"));
  };
  const nothing = "media: in exclude, and matches nothing that is read";
  assert.deepEqual(await said(data, `${data}/cache`, `${data}//db/`, `${data}/odd[1]`, "*.tm?"), [
    `ok: ${nothing} today: *.tm?`, // below what another leaves out
  ]);
  assert.deepEqual(await said(data, `${data}/cahce`, `${data}/plain`, "/elsewhere/cache"), [
    `warn: ${nothing}: ${data}/cahce; /elsewhere/cache`,
  ]);
  // patterns of a kind, as init writes them for a database: some match, the others may one day
  assert.deepEqual(await said(data, `${data}/db/CURRENT`, `${data}/db/*.sst`, `${data}/db/*.blob`), []);
  assert.deepEqual(await said(data, `${data}/bd/*.sst`), [`ok: ${nothing} today: ${data}/bd/*.sst`]);
  assert.deepEqual(await said(link, `${link}/cache`, `${data}/plain`), []);
  assert.deepEqual(await said(link, `${link}/cahce`), [
    `warn: ${nothing}: ${link}/cahce, which is ${data}/cahce`,
  ]);
});
