import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, createServer, connect as tcpConnect } from "node:net";
import { test } from "node:test";
import { openSshHost } from "../src/host/ssh.ts";
import { isFailure } from "../src/lib/errors.ts";
import { startSshd } from "./support/sshd.ts";

const signal = new AbortController().signal;
const MIB = 1024 * 1024;
const CIPHERS = [
  "aes128-gcm@openssh.com",
  "aes256-gcm@openssh.com",
  "aes128-ctr",
  "chacha20-poly1305@openssh.com",
];

for (const cipher of CIPHERS) {
  test(`bytes go through ${cipher} unchanged both ways, new keys in between`, async () => {
    await using sshd = await startSshd({ config: [`Ciphers ${cipher}`, "RekeyLimit 3M"] });
    await using host = await openSshHost(sshd.policy, { signal, home: "/" });
    const bytes = randomBytes(12 * MIB + 7);
    for (let round = 0; round < 2; round += 1) {
      const ran = await host.run(["cat"], { signal, stdin: bytes });
      assert.ok(ran.stdout.equals(bytes), `round ${round}`);
    }
    const hash = await host.run(["sha256sum"], { signal, stdin: bytes });
    assert.equal(hash.stdout.toString().slice(0, 64), createHash("sha256").update(bytes).digest("hex"));
  });
}

for (const cipher of CIPHERS) {
  test(`a bit that was changed on the way ends a connection of ${cipher}, and nothing wrong is handed on`, async () => {
    await using sshd = await startSshd({ config: [`Ciphers ${cipher}`] });
    await using wire = await flippingProxy(sshd.port, 3 * MIB);
    const policy = { ...sshd.policy, port: wire.port, host_key: sshd.hostKey };
    await using host = await openSshHost(policy, { signal, home: "/" });
    await using command = await host.start(["head", "-c", "10000000", "/dev/zero"], { signal });
    let length = 0;
    const reading = (async () => {
      for await (const bytes of command.stdout as AsyncIterable<Buffer>) {
        assert.ok(bytes.every((byte) => byte === 0));
        length += bytes.length;
      }
    })();
    await assert.rejects(reading, (error) => isFailure(error, "host/unreachable"));
    await assert.rejects(command.ended, (error) => isFailure(error, "host/unreachable"));
    assert.ok(length > 2 * MIB && length < 4 * MIB, `it read ${length} bytes`);
  });
}

/** Passes everything on, but for one bit of what the server sends on the first connection. */
async function flippingProxy(port: number, at: number): Promise<AsyncDisposable & { readonly port: number }> {
  let flipped = false;
  const server = createServer((client) => {
    const upstream = tcpConnect(port, "127.0.0.1");
    let seen = 0;
    client.pipe(upstream);
    upstream.on("data", (bytes: Buffer) => {
      const place = at - seen;
      if (!flipped && place >= 0 && place < bytes.length) {
        bytes.writeUInt8(bytes.readUInt8(place) ^ 1, place);
        flipped = true;
      }
      seen += bytes.length;
      if (!client.write(bytes)) {
        upstream.pause();
        client.once("drain", () => upstream.resume());
      }
    });
    upstream.on("end", () => client.end());
    for (const socket of [client, upstream]) {
      socket.on("error", () => {});
      socket.on("close", () => {
        client.destroy();
        upstream.destroy();
      });
    }
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.close();
      await once(server, "close");
    },
  };
}
