import assert from "node:assert/strict";
import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type { RunTarget } from "../../src/guided/journal/run-meta.ts";
import { oldMachine } from "../../src/guided/run/old-machine.ts";
import type { Host } from "../../src/host/host.ts";
import { hostFacts } from "../../src/host/host-facts.ts";
import { openLocalHost } from "../../src/host/local.ts";
import { scratchDirectory } from "../support/scratch.ts";

const OLD = { hostname: "ops", machine_id: "a", addresses: "203.0.113.1 2001:db8::1" };
const NEW = { hostname: "ops", machine_id: "b", addresses: "203.0.113.2" };
const at = (address: string) => ({ address, port: 22, user: "root" });

const rows: readonly {
  name: string;
  policy?: string;
  target: RunTarget;
  was?: Readonly<Record<string, string>>;
  is?: Readonly<Record<string, string>>;
  old: string | undefined;
  addresses?: readonly string[];
}[] = [
  {
    name: "a local policy on another machine",
    target: "local",
    old: "ops",
    addresses: ["203.0.113.1", "2001:db8::1"],
  },
  {
    name: "a local policy onto another machine, over SSH",
    target: at("203.0.113.2"),
    old: "ops",
    addresses: ["203.0.113.1", "2001:db8::1"],
  },
  { name: "a local policy on the same machine", target: "local", is: OLD, old: undefined },
  { name: "the same machine, over SSH", target: at("localhost"), is: OLD, old: undefined },
  {
    name: "a copy of the same image under another name",
    target: "local",
    is: { ...OLD, hostname: "new", addresses: "203.0.113.2" },
    old: "ops",
    addresses: ["203.0.113.1", "2001:db8::1"],
  },
  {
    name: "an address that has moved to the new machine",
    target: "local",
    is: { ...NEW, addresses: "203.0.113.1" },
    old: "ops",
    addresses: ["2001:db8::1"],
  },
  {
    name: "a policy with SSH",
    policy: "ops.example.org",
    target: at("203.0.113.2"),
    old: "ops",
    addresses: ["ops.example.org", "203.0.113.1", "2001:db8::1"],
  },
  {
    name: "a machine that was built anew at the policy's address",
    policy: "ops.example.org",
    target: at("ops.example.org"),
    old: "ops",
    addresses: ["203.0.113.1", "2001:db8::1"],
  },
  {
    name: "the policy's address and another one of what seems to be the same machine",
    policy: "ops.example.org",
    target: at("203.0.113.1"),
    is: OLD,
    old: undefined,
    addresses: ["ops.example.org"],
  },
  {
    name: "a snapshot that tells no machine, on the policy's machine",
    target: "local",
    was: { hostname: "ops.example.org" },
    old: undefined,
  },
  {
    name: "a snapshot that tells no machine, elsewhere",
    target: at("203.0.113.2"),
    was: { hostname: "ops.example.org" },
    old: "ops.example.org",
    addresses: ["ops.example.org"],
  },
  {
    name: "facts that are none",
    target: "local",
    was: { ...OLD, addresses: "-x 203.0.113.1; $(x) 10.0.0.1" },
    old: "ops",
    addresses: ["10.0.0.1"],
  },
];
for (const { name, policy, target, was = OLD, is = NEW, old, addresses = [] } of rows)
  test(`the old machine of ${name}`, () => {
    const host = policy === undefined ? "local" : { ssh: at(policy) };
    assert.deepEqual(oldMachine(host, target, { was, is }), { name: old, addresses });
  });

/** Prints what `ip` of iproute2 prints. */
const IP = `#!/bin/sh
case "$*" in
  "-o route show default") echo 'default via 203.0.113.254 dev eth0 proto dhcp' ;;
  "-o -6 route show default") echo 'default via fe80::1 dev eth0 metric 1024 pref medium' ;;
  "-o addr show dev eth0 scope global")
    echo '2: eth0    inet 203.0.113.1/24 brd 203.0.113.255 scope global eth0 valid_lft forever'
    echo '2: eth0    inet6 2001:db8::9/64 scope global temporary dynamic valid_lft 8s'
    echo '2: eth0    inet6 2001:db8::1/64 scope global valid_lft forever' ;;
  *) exit 1 ;;
esac
`;

test("a snapshot of this machine tells its name, an id and the addresses of what leads out", async () => {
  await using scratch = await scratchDirectory();
  await writeFile(join(scratch.path, "ip"), IP);
  await chmod(join(scratch.path, "ip"), 0o755);
  await using local = await openLocalHost();
  const path = `PATH=${scratch.path}:/usr/bin:/bin`;
  const machine = "0123456789abcdef0123456789abcdef";
  const host: Host = {
    ...local,
    run: (argv, how) => {
      const script = argv.map((word) => word.replace("cat /etc/machine-id", `echo ${machine}`));
      return local.run(["env", path, ...script], how);
    },
  };
  const facts = await hostFacts(host, [], { signal: AbortSignal.timeout(60_000) });
  assert.equal(facts["addresses"], "203.0.113.1 2001:db8::1");
  assert.ok(facts["hostname"]);
  assert.match(facts["machine_id"] ?? "", /^[0-9a-f]{32}$/);
  assert.notEqual(facts["machine_id"], machine);
});
