import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdir, symlink } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { waitReady } from "../../src/guided/services/ready.ts";
import { askHttp, loopbackUrl } from "../../src/guided/services/ready-http.ts";
import { watchUnits } from "../../src/guided/services/stays-up.ts";
import type { Host } from "../../src/host/host.ts";
import { openLocalHost } from "../../src/host/local.ts";
import { isFailure } from "../../src/lib/errors.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { startVps, type Vps } from "../support/vps.ts";
import { openVps } from "../support/vps-host.ts";

const signal = new AbortController().signal;
const how = { signal };

test("only addresses of the host itself are asked", () => {
  for (const good of ["http://127.0.0.1:6167/_matrix/client/versions", "https://[::1]/", "http://127.9.9.9/"])
    assert.ok(loopbackUrl(good).port);
  const bad = [
    "http://localhost:1/",
    "http://example.org/",
    "http://10.0.0.1/",
    "ftp://127.0.0.1/",
    "http://127.0.0.1.example.org/",
  ];
  for (const url of [
    ...bad,
    "http://user:word@127.0.0.1/",
    "http://[::2]/",
    "nonsense",
    "http://2130706433.x/",
  ])
    assert.throws(
      () => loopbackUrl(url),
      (error) => isFailure(error, "policy/invalid"),
      url,
    );
  assert.equal(loopbackUrl("http://2130706433:8/").name, "127.0.0.1", "another way to write it");
});

describe("asking an address on the host", () => {
  let server: Server;
  let address: string;
  const asked: string[] = [];
  before(async () => {
    server = createServer((request, response) => {
      asked.push(`${request.method} ${request.url} ${request.headers.host}`);
      const status = Number(request.url?.slice(1, 4));
      response.writeHead(status, { location: "/200", "x-note": "HTTP/1.1 200 no" }).end("HTTP/1.1 200 OK\n");
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(() => server.close());

  for (const tool of ["curl", "wget", "bash"]) {
    test(`with ${tool}: 2xx is ready, all else is not`, async () => {
      await using scratch = await scratchDirectory();
      await using local = await openLocalHost();
      const host = await onlyWith([tool, "sh", "sed", "tail", "env"], local, scratch.path);
      for (const [status, isReady] of [
        [200, true],
        [204, true],
        [302, false],
        [404, false],
        [503, false],
      ] as const) {
        const answer = await askHttp(host, loopbackUrl(`http://${address}/${status}?a=b#c`), how);
        assert.deepEqual(answer, { isReady, found: `http://${address}/${status}?a=b answers ${status}` });
        assert.equal(asked.at(-1), `GET /${status}?a=b ${address}`);
      }
      const nobody = await askHttp(host, loopbackUrl("http://127.0.0.1:1/"), how);
      assert.equal(nobody.isReady, false);
      assert.match(nobody.found, /does not answer/);
    });
  }

  test("with nothing to ask with it is not ready, and says why", async () => {
    await using scratch = await scratchDirectory();
    await using local = await openLocalHost();
    const host = await onlyWith(["sh", "env"], local, scratch.path);
    const { isReady, found } = await askHttp(host, loopbackUrl(`http://${address}/200`), how);
    assert.equal(isReady, false);
    assert.match(found, /none of curl, wget and bash is on this host/);
  });
});

describe("units that are to be ready", { timeout: 1_800_000 }, () => {
  let vps: Vps;
  let host: Host;
  before(async () => {
    vps = await startVps();
    host = await openVps(vps);
  });
  after(async () => {
    await host[Symbol.asyncDispose]();
    await vps[Symbol.asyncDispose]();
  });

  /** Write a unit, start it without waiting, and watch it. */
  const started = async (
    name: string,
    lines: readonly string[],
    rule: Partial<Parameters<typeof waitReady>[1]> = {},
  ) => {
    const text = ["[Service]", ...lines].join("\n");
    await vps.exec(
      `cat >/etc/systemd/system/${name}.service && systemctl daemon-reload && (systemctl enable --quiet ${name} 2>/dev/null; systemctl start --no-block ${name})`,
      {
        input: `${text}\n`,
      },
    );
    return waitReady(host, { unit: `${name}.service`, ...rule }, how);
  };

  test("one that runs is ready when it has run for a while", async () => {
    const { ready, seconds, found, log } = await started("steady", ["ExecStart=sleep 1000"], {
      ready: { active_for: "3s" },
    });
    assert.equal(ready, true);
    assert.ok(seconds >= 3 && seconds < 60, `${seconds} s`);
    assert.match(found, /^active for \d+ s$/);
    assert.deepEqual(log, []);
  });

  test("one that ends is not, with what its status means and what it said", async () => {
    const lines = [
      "ExecStart=sh -c 'printf \"as_token \\\\033[31mwas not accepted\\\\033[0m\\\\n\"; exit 16'",
    ];
    const { ready, found, hint, log } = await started("refused", lines, {
      exits: { 16: "the homeserver did not accept the as_token" },
    });
    assert.equal(ready, false);
    assert.equal(found, "failed (exit-code) with exit status 16: the homeserver did not accept the as_token");
    assert.equal(hint, "journalctl -u refused.service");
    assert.ok(
      log.some((line) => line === "as_token was not accepted"),
      log.join("\n"),
    );
    assert.ok(log.every((line) => !/\p{Cc}/u.test(line)));
  });

  test("one that ends again and again with a known status is given up; unknown ones get all the time there is", async () => {
    const lines = ["ExecStart=sh -c 'exit 16'", "Restart=always", "RestartSec=1500ms"];
    const known = await started("again", lines, {
      exits: { 16: "wrong token" },
      ready: { active_for: "5s", within: "2m" },
    });
    assert.equal(known.ready, false);
    assert.match(known.found, /^ended with exit status 16: wrong token; systemd starts it again/);
    assert.ok(known.seconds < 60, `${known.seconds} s`);
    const unknown = await waitReady(
      host,
      { unit: "again.service", ready: { active_for: "5s", within: "4s" } },
      how,
    );
    assert.equal(unknown.ready, false);
    assert.ok(unknown.seconds >= 4);
    await vps.exec("systemctl stop again");
  });

  test("one that comes up at the third try is ready, and active_for begins anew", async () => {
    const lines = [
      "ExecStart=sh -c 'echo >>/run/tries; [ $(wc -l </run/tries) -ge 3 ] && exec sleep 1000; sleep 1; exit 13'",
      "Restart=always",
      "RestartSec=500ms",
    ];
    const { ready, found } = await started("third", lines, {
      exits: { 13: "no answer yet" },
      ready: { active_for: "3s", within: "2m" },
    });
    assert.equal(ready, true, found);
    assert.match(found, /restarted 2 times/);
  });

  test("http is asked on the host itself, without curl or wget", async () => {
    const server =
      "use IO::Socket::INET; my $s=IO::Socket::INET->new(Listen=>9,LocalAddr=>q(127.0.0.1:6167),ReuseAddr=>1) or die; sleep 1; my $n=0; while(my $c=$s->accept){ <$c>; print $c $n++<3 ? qq(HTTP/1.1 503 Wait\\r\\n\\r\\n) : qq(HTTP/1.1 200 OK\\r\\n\\r\\n); close $c }";
    const rule = { ready: { http: "http://127.0.0.1:6167/_matrix/client/versions", within: "1m" } };
    const { ready, found } = await started(
      "web",
      [`ExecStart=perl -e '${server.replaceAll("$", "$$$$")}'`],
      rule,
    );
    assert.equal(ready, true, found);
    assert.match(found, /6167\/_matrix\/client\/versions answers 200$/);
    await vps.exec("systemctl stop web");
    const late = await started("deaf", ["ExecStart=sleep 1000"], { ready: { ...rule.ready, within: "5s" } });
    assert.equal(late.ready, false);
    assert.match(late.found, /^active for \d+ s; http.* does not answer.*, after \d+ s$/);
  });

  test("a command decides", async () => {
    await vps.exec("rm -f /run/yes");
    const rule = { unit: "steady.service", ready: { command: ["test", "-e", "/run/yes"], within: "1s" } };
    assert.match((await waitReady(host, rule, how)).found, /test -e \/run\/yes ends with 1/);
    await vps.exec("touch /run/yes");
    assert.equal((await waitReady(host, rule, how)).ready, true);
  });

  test("one that runs to its end, one behind a condition, one that was not started, one that is not there", async () => {
    assert.equal((await started("once", ["Type=oneshot", "ExecStart=true"])).found, "ran to its end");
    const gated = await started("gated", [
      "ExecStart=sleep 1000",
      "[Unit]",
      "ConditionPathExists=!/etc",
      "[Install]",
      "WantedBy=multi-user.target",
    ]);
    assert.match(gated.found, /a condition of the unit does not hold/);
    assert.match(gated.hint ?? "", /gate/);
    await vps.exec(
      "printf '[Service]\\nExecStart=sleep 9\\n' >/etc/systemd/system/never.service; systemctl daemon-reload",
    );
    assert.match(
      (await waitReady(host, { unit: "never.service" }, how)).found,
      /^not running: it was not started/,
    );
    assert.equal(
      (await waitReady(host, { unit: "nowhere.service" }, how)).found,
      "nowhere.service is not-found",
    );
  });

  const LIVES = [
    { name: "lives", lines: ["ExecStart=sleep 1000"], fallen: undefined },
    {
      name: "loops",
      lines: ["ExecStart=sh -c 'sleep 8; echo panicked; exit 101'", "Restart=always", "RestartSec=1"],
      fallen:
        /^it was ready, and (is activating \(auto-restart\) now|was started again since: restarted 1 times), last with exit status 101$/,
    },
    {
      name: "ends",
      lines: ["ExecStart=sleep 8"],
      fallen: /^it was ready, and is inactive \(dead\) now/,
    },
    {
      name: "silent",
      lines: ["ExecStart=sh -c 'touch /run/answers; sleep 8; rm /run/answers; sleep 1000'"],
      ready: { command: ["test", "-e", "/run/answers"] },
      fallen: /^it was ready, and is not any more: test -e \/run\/answers ends with 1$/,
    },
    {
      name: "slow",
      lines: ["ExecStart=sh -c 'sleep 14; exit 3'", "Restart=always", "RestartSec=20"],
      fallen: /is activating \(auto-restart\) now, last with exit status 3$/,
    },
  ];
  test("one that was ready is watched for longer than systemd waits before it starts one again", async () => {
    const watches: Promise<void>[] = [];
    for (const { name, lines, ready = {}, fallen } of LIVES) {
      const rule = { ready: { active_for: "1s", ...ready } };
      const { invocation = "", found } = await started(name, lines, rule);
      assert.notEqual(invocation, "", `${name}: ${found}`);
      const watching = watchUnits(host, [{ rule: { unit: `${name}.service`, ...rule }, invocation }], how);
      watches.push(
        watching.then((stayed) => {
          assert.match(stayed.fallen?.found ?? "stays", fallen ?? /^stays$/, name);
          assert.ok(stayed.fallen !== undefined || stayed.seconds >= 10, name);
        }),
      );
    }
    await Promise.all(watches);
  });

  test("waiting can be aborted", async () => {
    const stop = new AbortController();
    const rule = { unit: "steady.service", ready: { active_for: "1h", within: "1h" } };
    const waiting = waitReady(host, rule, { signal: stop.signal });
    setTimeout(() => stop.abort(new Error("enough")), 500);
    await assert.rejects(waiting, (error) => error instanceof Error && /enough|abort/i.test(error.message));
  });
});

/** The same host, on which only these programs are. */
async function onlyWith(tools: readonly string[], host: Host, directory: string): Promise<Host> {
  const bin = join(directory, "bin");
  await mkdir(bin);
  for (const tool of tools) {
    const { stdout } = await host.run(["sh", "-c", 'command -v "$1"', "sh", tool], how);
    await symlink(stdout.toString().trim(), join(bin, tool));
  }
  return {
    label: host.label,
    user: host.user,
    run: (argv, options) => host.run(argv, { ...options, env: { ...options.env, PATH: bin } }),
    start: (argv, options) => host.start(argv, { ...options, env: { ...options.env, PATH: bin } }),
    [Symbol.asyncDispose]: async () => {},
  };
}
