import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";
import { after, before, describe, test } from "node:test";
import { probeOld } from "../../src/guided/run/fence.ts";
import { type NamedAddress, type Resolve, resolveName } from "../../src/guided/run/fence-dns.ts";
import { probe } from "../../src/guided/run/fence-probe.ts";
import { freePort } from "../support/free-port.ts";
import { runTool } from "../support/scratch.ts";
import { until } from "../support/until.ts";

const signal = new AbortController().signal;
/** Of documentation (RFC 5737): nothing is there. */
const NOBODY = "192.0.2.1";

const zone =
  (names: Readonly<Record<string, readonly NamedAddress[] | Error>>): Resolve =>
  async (name) => {
    const answer = names[name] ?? [{ address: name, ttl: undefined }];
    if (answer instanceof Error) throw answer;
    return answer;
  };

describe("whether the old machine still answers", () => {
  let server: Server;
  let open: number;
  let closed: number;
  let received = 0;
  let connections = 0;
  before(async () => {
    server = createServer((socket) => {
      connections += 1;
      socket.on("data", (bytes) => {
        received += bytes.length;
      });
      socket.on("error", () => {});
      socket.write("SSH-2.0-old\r\n");
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    open = (server.address() as AddressInfo).port;
    closed = await freePort();
  });
  after(() => server.close());

  test("an open port is an answer; nothing is ever sent to it", async () => {
    const checks = await probeOld(
      { addresses: ["127.0.0.1", "127.0.0.1"], ports: [closed, open] },
      { signal },
    );
    assert.deepEqual(
      checks.map(({ name, ok }) => [name, ok]),
      [["old machine at 127.0.0.1", false]],
    );
    assert.equal(checks[0]?.found, `accepts connections on port ${open}`);
    assert.match(checks[0]?.hint ?? "", /switch it off/);
    await until("the connection is seen", () => connections > 0);
    assert.deepEqual([connections, received], [1, 0]);
  });

  test("a refused connection is an answer too", async () => {
    const [check] = await probeOld({ addresses: ["127.0.0.1"], ports: [closed] }, { signal });
    assert.equal(check?.ok, false);
    assert.match(check?.found ?? "", /refuses port \d+: a machine is running there/);
  });

  test("what does not answer in time is silent", async () => {
    // a listener whose queue is full lets further connections wait
    const { child, port } = await deafListener();
    try {
      const [check] = await probeOld({ addresses: ["127.0.0.1"], ports: [port] }, { signal, withinMs: 300 });
      assert.deepEqual([check?.ok, check?.found], [true, `does not answer on port ${port} within 0.3 s`]);
    } finally {
      child.close();
    }
  });

  test("names: where they point, the machine that is restored onto is no alarm, each address is asked once", async () => {
    const resolve = zone({
      "matrix.example.org": [{ address: "127.0.0.1", ttl: 300 }],
      "www.example.org": [
        { address: "127.0.0.1", ttl: 300 },
        { address: "127.0.0.2", ttl: 60 },
      ],
      "new.example.org": [{ address: "127.0.0.2", ttl: 60 }],
      "gone.example.org": [],
      "broken.example.org": new Error("queryA ESERVFAIL"),
    });
    const before = connections;
    const checks = await probeOld(
      {
        addresses: ["matrix.example.org", "www.example.org", "gone.example.org", "broken.example.org"],
        ports: [open],
        restoredOnto: "new.example.org",
      },
      { signal, resolve },
    );
    assert.deepEqual(
      checks.map(({ name, ok, found }) => [name, ok, found]),
      [
        [
          "DNS of matrix.example.org",
          true,
          "points to 127.0.0.1 (not the machine that is restored onto; others may remember it for 300 s)",
        ],
        [
          "DNS of www.example.org",
          true,
          "points to 127.0.0.1 (not the machine that is restored onto; others may remember it for 300 s), 127.0.0.2 (the machine that is restored onto; others may remember it for 60 s)",
        ],
        ["DNS of gone.example.org", false, "has no address, so nothing could be asked there"],
        ["DNS of broken.example.org", false, "could not be asked: queryA ESERVFAIL"],
        ["old machine at 127.0.0.1", false, `accepts connections on port ${open}`],
        ["old machine at 127.0.0.2", true, "is the machine that is restored onto"],
      ],
    );
    assert.ok(checks.every(({ ok, hint }) => ok || hint));
    await until("the connection is seen", () => connections > before);
    assert.equal(connections, before + 1);
  });

  test("this machine's own knowledge of a name counts", async () => {
    const addresses = (await resolveName("localhost", { signal })).map(({ address }) => address);
    assert.ok(addresses.includes("127.0.0.1") || addresses.includes("::1"), addresses.join());
    assert.deepEqual(await resolveName(NOBODY, { signal }), [{ address: NOBODY, ttl: undefined }]);
  });

  test("what cannot be reached from here has not been looked at", async () => {
    if (process.getuid?.() !== 0) throw new Error("needs root for a network without a way out");
    const file = new URL("../../src/guided/run/fence.ts", import.meta.url).href;
    const program = `const { probeOld } = await import(${JSON.stringify(file)});
      console.log(JSON.stringify(await probeOld({ addresses: ["${NOBODY}"], ports: [22] }, { signal: new AbortController().signal })));`;
    const out = await runTool("unshare", "--net", process.execPath, "--input-type=module", "-e", program);
    const [check] = JSON.parse(out.toString());
    assert.equal(check.ok, false);
    assert.match(check.found, /could not be asked from here/);
  });

  test("it can be aborted", async () => {
    const stop = new AbortController();
    const { child, port } = await deafListener();
    const probing = probe("127.0.0.1", port, { signal: stop.signal, withinMs: 600_000 });
    setTimeout(() => stop.abort(new Error("enough")), 50);
    await assert.rejects(probing, /enough/);
    child.close();
  });
});

/** Linux answers no further SYN when the queue of a listener that accepts nothing is full. */
async function deafListener() {
  const program =
    "import socket,time;s=socket.socket();s.bind(('127.0.0.1',0));s.listen(0);c=[socket.socket() for _ in range(4)]\n" +
    "for x in c:x.setblocking(False);x.connect_ex(s.getsockname())\n" +
    "time.sleep(.2);print(s.getsockname()[1],flush=True);time.sleep(600)";
  const child = spawn("python3", ["-c", program], { stdio: ["pipe", "pipe", "inherit"] });
  const [line] = await once(child.stdout, "data");
  return { port: Number(String(line)), child: { close: () => child.kill() } };
}
