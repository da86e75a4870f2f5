import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { promisify } from "node:util";
import { loadPolicy, parsePolicy } from "../src/policy/load.ts";
import type { Policy } from "../src/policy/schema.ts";
import { OPS } from "./support/ops-facts.ts";

// The policy, the Nix example and the stand-ins of the tests agree on what the server is.

const run = promisify(execFile);
const root = new URL("../", import.meta.url).pathname;
const text = (path: string) => readFile(root + path, "utf8");

/** The settings of nix/example-vps.nix, as its policy. */
async function nixPolicy(): Promise<Policy> {
  const secrets = ["s3-writer", "metadata-identity", "signing-key"].map(
    (name) => `"drops/${name}".path = "/run/secrets/${name}";`,
  );
  const config = `{ sops.secrets = { ${secrets.join(" ")} }; }`;
  const expression = `(import ${root}nix/example-vps.nix { config = ${config}; }).services.drops.policies.ops-jrz1.settings`;
  const argv = ["--store", "dummy://", "--eval", "--strict", "--json", "--expr", expression];
  return parsePolicy((await run("nix-instantiate", argv)).stdout, "example-vps.nix").policy;
}

const policies = [
  {
    where: "policies/ops-jrz1.yaml",
    read: async () => (await loadPolicy(`${root}policies/ops-jrz1.yaml`)).policy,
  },
  { where: "nix/example-vps.nix", read: nixPolicy },
];

for (const { where, read } of policies) {
  test(`${where} is a policy for the server that the table tells of`, async () => {
    const { name, zone, keep, sources, restore } = await read();
    assert.deepEqual({ name, zone }, { name: OPS.name, zone: OPS.zone });
    const { daily, weekly, monthly } = keep;
    assert.deepEqual({ daily, weekly, monthly }, OPS.keep);
    const databases = sources.flatMap((source) =>
      source.kind === "postgres" ? [[source.name, source.database]] : [],
    );
    assert.deepEqual(Object.fromEntries(databases), OPS.databases);
    const rocksdb = sources.flatMap((source) => (source.kind === "rocksdb" ? [source.path] : []));
    assert.deepEqual(rocksdb, [OPS.rocksdb]);
    const paths = new Map<string, readonly string[]>(
      sources.flatMap((source) => (source.kind === "files" ? [[source.name, source.paths]] : [])),
    );
    for (const [source, path] of Object.entries(OPS.paths)) assert.deepEqual(paths.get(source), [path]);
    assert.deepEqual(
      restore.units.map(({ unit }) => unit),
      OPS.units,
    );
    const ready = restore.units.flatMap(({ unit, ready: { http } }) => (http ? [[unit, http]] : []));
    assert.deepEqual(Object.fromEntries(ready), OPS.ready);
  });
}

test("PostgreSQL is captured before RocksDB, and RocksDB before files", async () => {
  for (const { read } of policies) {
    const kinds = (await read()).sources.map(({ kind }) => kind);
    assert.deepEqual(
      kinds,
      kinds.toSorted((a, b) => RANK.indexOf(a) - RANK.indexOf(b)),
    );
  }
});
const RANK = ["postgres", "rocksdb", "files"];

test("the stand-ins listen where the server's services do, and know the same schema", async () => {
  const install = await text("test/support/stand-in/install.sh");
  const stands = {
    homeserver: [install, await text("test/support/stand-in/homeserver.ts")],
    bridge: [install],
    forge: [await text("test/support/stand-in/forge.ts")],
  };
  for (const [service, files] of Object.entries(stands)) {
    const [address = "", port = ""] = OPS.listens[service as keyof typeof stands].split(":");
    for (const file of files) assert.ok(file.includes(port) && file.includes(address), `${service}: ${port}`);
  }
  assert.match(
    await text("test/support/stand-in/homeserver-database.ts"),
    new RegExp(`SCHEMA_VERSION = "${OPS.schema}"`),
  );
  for (const fact of [OPS.registration, OPS.sender, ...OPS.units]) assert.ok(install.includes(fact), fact);
});

test("the server's address is in its policy and nowhere else", async () => {
  const { host } = (await loadPolicy(`${root}policies/ops-jrz1.yaml`)).policy;
  assert.ok(typeof host === "object");
  assert.match(host.ssh.address, /^\d+\.\d+\.\d+\.\d+$/);
  const { stdout } = await run("git", ["grep", "--files-with-matches", "--fixed-strings", host.ssh.address], {
    cwd: root,
  });
  assert.deepEqual(stdout.trim().split("\n"), ["policies/ops-jrz1.yaml"]);
});

test("nothing for the server says localhost, which is ::1 there", async () => {
  for (const file of ["policies/ops-jrz1.yaml", "nix/example-vps.nix"])
    assert.doesNotMatch(await text(file), /\/\/localhost/);
});
