import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { after, before, test } from "node:test";
import { OUTSIDE, requireNoEgress } from "../../src/drill/egress.ts";
import type { Host } from "../../src/host/host.ts";
import { openLocalHost } from "../../src/host/local.ts";
import { openSshHost } from "../../src/host/ssh.ts";
import { isFailure } from "../../src/lib/errors.ts";
import { freePort } from "../support/free-port.ts";
import { type Sshd, startSshd } from "../support/sshd.ts";

const how = { signal: AbortSignal.timeout(3_600_000) };
let sshd: Sshd;
let host: Host;
before(async () => {
  sshd = await startSshd();
  host = await openSshHost(sshd.policy, { ...how, home: sshd.directory });
});
after(async () => {
  await host[Symbol.asyncDispose]();
  await sshd[Symbol.asyncDispose]();
});

/** Somebody who answers, in the place of the outside. */
async function listener(): Promise<AsyncDisposable & { readonly port: number }> {
  const server = createServer((socket) => socket.destroy()).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    port,
    async [Symbol.asyncDispose]() {
      server.close();
      await once(server, "close");
    },
  };
}

const nobody = async () => ({ address: "127.0.0.1", port: await freePort() });

test("a machine that reaches nothing outside is proven to", async () => {
  const found = await requireNoEgress(host, { ...how, outside: [await nobody(), await nobody()] });
  assert.match(
    found,
    /^(bash|python3|nc) reaches the machine's own SSH server and none of 2 places outside$/,
  );
});

test("one place that answers is enough to refuse, and is named", async () => {
  await using there = await listener();
  const outside = [await nobody(), { address: "127.0.0.1", port: there.port }];
  await assert.rejects(requireNoEgress(host, { ...how, outside }), (error) => {
    assert.ok(isFailure(error, "safety/refused"));
    assert.match(error.message, new RegExp(`reaches the outside \\(127\\.0\\.0\\.1 ${there.port}\\)`));
    return true;
  });
});

test("a probe that cannot work proves nothing: without SSH there is nothing to try it on", async () => {
  await using local = await openLocalHost();
  await assert.rejects(requireNoEgress(local, { ...how, outside: [await nobody()] }), (error) => {
    assert.ok(isFailure(error, "safety/refused"));
    assert.match(error.message, /could not be shown to be cut off/);
    return true;
  });
});

test("a machine that has none of the tools is refused, not believed", async () => {
  const bare: Host = {
    ...host,
    run: (argv, options) => host.run(["env", "PATH=/nonexistent", "/bin/sh", ...argv.slice(1)], options),
  };
  await assert.rejects(requireNoEgress(bare, { ...how, outside: [await nobody()] }), (error) => {
    assert.ok(isFailure(error, "safety/refused"));
    return true;
  });
});

test("places outside are addresses of both families, and words that are none are not taken", async () => {
  assert.ok(OUTSIDE.some(({ address }) => address.includes(":")));
  assert.ok(OUTSIDE.some(({ address }) => /^[\d.]+$/.test(address)));
  await assert.rejects(requireNoEgress(host, { ...how, outside: [{ address: "-x", port: 1 }] }), TypeError);
});
