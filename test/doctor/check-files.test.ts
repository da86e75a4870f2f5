import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { sourceChecks } from "../../src/doctor/check-sources.ts";
import type { Line } from "../../src/doctor/types.ts";
import type { World } from "../../src/doctor/world.ts";
import type { Host } from "../../src/host/host.ts";
import { openLocalHost } from "../../src/host/local.ts";
import { alteredHost } from "../support/altered-host.ts";
import { scratchDirectory } from "../support/scratch.ts";

const source = { name: "media", kind: "files", exclude: [], optional: false, one_file_system: true } as const;

async function linesOf(host: Host, path: string): Promise<readonly Line[]> {
  const loaded = { policy: { sources: [{ ...source, paths: [path] }] } };
  const world = { loaded, host: Promise.resolve(host) } as unknown as World;
  const [check] = sourceChecks(world, new Map());
  return (await check?.run({ signal: new AbortController().signal })) ?? [];
}

test("what chattr made immutable or append-only is a warning with its names", async () => {
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
  const withIt = alteredHost(real, (argv) =>
    argv[0] === "env" ? ["env", `PATH=${programs}:/usr/bin:/bin`, ...argv.slice(1)] : argv,
  );
  const [warning, ...rest] = await linesOf(withIt, data);
  assert.equal(warning?.result, "warn");
  const [, named = ""] = /^media: immutable or append-only, [^:]*: (.*)$/.exec(warning.what) ?? [];
  assert.deepEqual(named.split(", ").sort(), [join(data, "app"), join(data, "imm")]);
  assert.deepEqual(
    rest.map(({ result }) => result),
    ["ok"],
  );
  const without = alteredHost(real, (argv) =>
    argv[0] === "env" ? ["env", "PATH=/nonexistent", ...argv.slice(1)] : argv,
  );
  assert.deepEqual(
    (
      await linesOf(
        alteredHost(without, (argv) => argv.map((word) => (word === "sh" ? "/bin/sh" : word))),
        data,
      )
    ).map(({ result }) => result),
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
  assert.match(
    warning.what,
    /^media: other file systems are mounted inside, and are not backed up: \S+\/repos \(tmpfs\)$/,
  );
});
