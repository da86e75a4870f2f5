import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { chmod, chown, mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { rebuildChoices, revisionOf } from "../../src/guided/plan/rebuild-choices.ts";
import { bootstrap } from "../../src/guided/run/bootstrap.ts";
import { openLocalHost } from "../../src/host/local.ts";
import { isFailure } from "../../src/lib/errors.ts";
import { PackPool } from "../../src/pack/pool.ts";
import { Restore } from "../../src/policy/restore-schema.ts";
import type { SourcePolicy } from "../../src/policy/schema.ts";
import type { RestoreParts } from "../../src/restore/restore-run.ts";
import { alteredHost } from "../support/altered-host.ts";
import { filesPolicy, rocksdbPolicy } from "../support/guided-run.ts";
import { runTool, scratchDirectory } from "../support/scratch.ts";
import { readPartsOf, TinyRepository } from "../support/tiny-repository.ts";

const { signal } = new AbortController();

const SOURCES: readonly SourcePolicy[] = [
  filesPolicy("host-keys", "/etc/ssh/ssh_host_ed25519_key"),
  filesPolicy("machine-id", "/etc/machine-id"),
  { name: "flake", kind: "command", argv: ["git", "bundle"] },
];
const RESTORE = Restore.parse({ bootstrap: ["host-keys", "machine-id", "flake"] });

/** A repository with a host key, a machine id, and `flake` as what the command printed. */
async function repository(flake: Uint8Array): Promise<TinyRepository> {
  const tiny = await TinyRepository.create();
  const [key, pub, id, bundle] = await tiny.pack(
    Buffer.from("PRIVATE\n"),
    Buffer.from("public\n"),
    Buffer.from("abc\n"),
    flake,
  );
  assert.ok(key && pub && id && bundle);
  await tiny.commit([
    await tiny.source({
      name: "host-keys",
      entries: [
        { path: "etc/ssh/ssh_host_ed25519_key", chunks: [key], mode: 0o640 },
        { path: "etc/ssh/ssh_host_ed25519_key.pub", chunks: [pub] },
      ],
    }),
    await tiny.source({
      name: "machine-id",
      entries: [{ path: "etc/machine-id", chunks: [id], mode: 0o444 }],
    }),
    await tiny.source({ name: "flake", kind: "command", entries: [{ path: "output", chunks: [bundle] }] }),
  ]);
  return tiny;
}

async function bootstrapped(
  tiny: TinyRepository,
  to: string,
  restore = RESTORE,
  more: Partial<RestoreParts> = {},
) {
  await using pool = new PackPool(1);
  const parts = { ...readPartsOf(tiny), pool, openHost: openLocalHost, ...more };
  return await bootstrap(parts, { choice: { date: "latest" }, to, restore, sources: SOURCES }, { signal });
}

async function bundleIn(directory: string): Promise<Buffer> {
  const git = (...args: string[]) =>
    runTool("git", "-C", directory, "-c", "user.name=a", "-c", "user.email=a@example.org", ...args);
  await runTool("git", "init", "-q", directory);
  await writeFile(join(directory, "flake.nix"), "{ }\n");
  await git("add", "flake.nix");
  await git("commit", "-q", "-m", "one");
  return await git("bundle", "create", "-q", "-", "--all");
}

test("what a machine needs before its first boot lies as it will lie there, and the flake beside", async () => {
  await using scratch = await scratchDirectory();
  const tiny = await repository(await bundleIn(join(scratch.path, "git")));
  const to = join(scratch.path, "extra");
  const { files, flake, notes } = await bootstrapped(tiny, to);
  assert.deepEqual(notes, []);
  assert.deepEqual(
    files.map(({ path, mode, secret }) => `${mode.toString(8)} ${path}${secret ? " secret" : ""}`),
    [
      "444 /etc/machine-id",
      "600 /etc/ssh/ssh_host_ed25519_key secret",
      "644 /etc/ssh/ssh_host_ed25519_key.pub",
      "644 /var/lib/drops/restore-in-progress",
    ],
  );
  assert.equal(await readFile(join(to, "etc/ssh/ssh_host_ed25519_key"), "utf8"), "PRIVATE\n");
  for (const path of ["", "etc", "etc/ssh", "var/lib/drops"])
    assert.equal((await stat(join(to, path))).mode & 0o777, 0o755, path);
  assert.equal(flake, `${to}-flake`);
  assert.equal(await readFile(join(to, "../extra-flake/flake.nix"), "utf8"), "{ }\n");
  assert.deepEqual(
    (await runTool("find", to, "-name", ".drops*")).toString(),
    "",
    "nothing of ours goes to the machine",
  );
});

test("what is no bundle, and a flake that is there already, are kept as a file", async () => {
  await using scratch = await scratchDirectory();
  const tiny = await repository(Buffer.from("not a bundle"));
  const { flake, notes } = await bootstrapped(tiny, join(scratch.path, "one"));
  assert.equal(await readFile(flake ?? "", "utf8"), "not a bundle");
  assert.match(notes.join(), /is no git bundle/);
  await mkdir(join(scratch.path, "two-flake"));
  const whole = await repository(await bundleIn(join(scratch.path, "git")));
  const second = await bootstrapped(whole, join(scratch.path, "two"));
  assert.equal(second.flake, join(scratch.path, "two-flake.bundle"));
  assert.match(second.notes.join(), /is there already/);
});

test("a broken bundle is kept, with what git said", async () => {
  await using scratch = await scratchDirectory();
  const tiny = await repository(Buffer.from("# v2 git bundle\nnonsense\n"));
  const { flake, notes } = await bootstrapped(tiny, join(scratch.path, "one"));
  assert.ok(flake?.endsWith("one-flake.bundle"));
  assert.match(notes.join(), /could not be unpacked: .*git/);
});

test("a directory that holds something is left alone", async () => {
  await using scratch = await scratchDirectory();
  await writeFile(join(scratch.path, "mine"), "");
  const tiny = await repository(Buffer.from("x"));
  await assert.rejects(bootstrapped(tiny, scratch.path), (error: unknown) => {
    assert.ok(isFailure(error, "safety/refused"));
    return true;
  });
});

test("without bootstrap sources the gate alone is written", async () => {
  await using scratch = await scratchDirectory();
  const tiny = await repository(Buffer.from("x"));
  const { files, notes } = await bootstrapped(
    tiny,
    join(scratch.path, "new"),
    Restore.parse({ gate: "/run/g" }),
  );
  assert.deepEqual(
    files.map(({ path }) => path),
    ["/run/g"],
  );
  assert.match(notes.join(), /names no bootstrap sources/);
});

const nixos = {
  hostname: "ops.example.org",
  nixos_version: "25.11",
  nixos_system: "/nix/store/x",
  flake_revision: "0123456789012345678901234567890123456789",
};
const what = {
  restore: Restore.parse({ bootstrap: ["host-keys"] }),
  sources: [
    ...SOURCES,
    rocksdbPolicy("hs", "/var/lib/hs/db"),
    filesPolicy("media", "/var/lib/hs/db/media"),
    filesPolicy("forge", "/var/lib/forge"),
  ],
  to: "/tmp/my extra",
  flake: "/tmp/flake",
  restoreCommand: "drops restore --policy p",
};

test("a NixOS machine is rebuilt as it was, newer on a copy, or with a fresh homeserver and what is lost", () => {
  const choices = rebuildChoices({ ...what, snapshot: { id: "abcdef", host: nixos } });
  assert.equal(choices.length, 3);
  assert.deepEqual(choices[0]?.commands, [
    "git -C /tmp/flake checkout 0123456789012345678901234567890123456789",
    "nixos-anywhere --extra-files '/tmp/my extra' --flake '/tmp/flake#ops' root@NEW-ADDRESS",
    "drops restore --policy p --snapshot abcdef --host root@NEW-ADDRESS",
  ]);
  assert.match(choices[1]?.commands.join() ?? "", /nixos-rebuild switch --flake '\/tmp\/flake#ops'/);
  assert.match(choices[2]?.notes.join() ?? "", /LOST: all accounts.*signing key/);
  assert.deepEqual(choices[2]?.commands, [
    "drops restore --policy p --snapshot abcdef --host root@NEW-ADDRESS --only machine-id --only forge",
  ]);
});

test("another machine has no flake, and a dirty tree no revision", () => {
  const choices = rebuildChoices({ ...what, snapshot: { id: "abcdef", host: { os: "Debian 12" } } });
  assert.equal(choices.length, 2);
  assert.match(choices[0]?.commands[0] ?? "", /^tar -C '\/tmp\/my extra' -cf - \./);
  assert.equal(revisionOf({ host: { flake_revision: `${nixos.flake_revision}-dirty` } }), undefined);
  assert.equal(revisionOf({ host: nixos }), nixos.flake_revision);
});

test("while it is filled nobody else enters it, and a place that another user can swap is refused", async () => {
  await using scratch = await scratchDirectory();
  await chmod(scratch.path, 0o755);
  const tiny = await repository(Buffer.from("no bundle"));
  const to = join(scratch.path, "extra");
  await mkdir(to, { mode: 0o755 });
  const modes = new Set<number>();
  const host = await openLocalHost();
  const openHost = async () =>
    alteredHost(host, (argv) => {
      modes.add(statSync(to).mode & 0o777);
      return argv;
    });
  await bootstrapped(tiny, to, RESTORE, { openHost });
  assert.deepEqual([...modes], [0o700]);
  assert.equal((await stat(to)).mode & 0o777, 0o755);

  const theirs = join(scratch.path, "theirs");
  await mkdir(theirs);
  await chown(theirs, 12_345, 12_345);
  await assert.rejects(bootstrapped(tiny, join(theirs, "extra")), (error) =>
    isFailure(error, "safety/refused"),
  );
  assert.deepEqual(await readdir(theirs), []);
});
