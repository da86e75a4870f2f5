import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { expectSuccess } from "../../src/host/expect-success.ts";
import type { Host } from "../../src/host/host.ts";
import { isFailure } from "../../src/lib/errors.ts";
import { until } from "../support/until.ts";

const MIB = 1024 * 1024;

/** What every host promises, held against one adapter. */
export function hostContract(name: string, open: () => Promise<Host>): void {
  describe(`${name} keeps the host contract`, () => {
    let host: Host;
    const signal = new AbortController().signal;
    const script = (text: string) => ["sh", "-c", text];
    before(async () => {
      host = await open();
    });
    after(async () => {
      await host[Symbol.asyncDispose]();
    });

    test("run feeds the input, collects the output and starts in /", async () => {
      const ran = await host.run(script("pwd; cat; echo two >&2"), { signal, stdin: "one" });
      assert.equal(ran.stdout.toString(), "/\none");
      assert.deepEqual([ran.exit, ran.signal, ran.stderr], [0, undefined, "two"]);
    });

    test("arguments and settings arrive as they are", async () => {
      const awkward = [
        "",
        " ",
        "a b",
        "$HOME",
        "`id`",
        "'",
        '"',
        "\\",
        "\n",
        "*",
        "-n",
        "ä€🦀",
        "\x01\x7f",
        "a'b''c",
        "!!",
      ];
      const ran = await host.run(["printf", "%s\\0", ...awkward], { signal });
      assert.deepEqual(ran.stdout.toString().split("\0").slice(0, -1), awkward);
      const set = await host.run(script('printf %s "$DROPS_TEST"'), {
        signal,
        env: { DROPS_TEST: "a 'b' $c\nd" },
      });
      assert.equal(set.stdout.toString(), "a 'b' $c\nd");
    });

    test("bytes go in and come out unchanged", async () => {
      const bytes = Buffer.alloc(
        5 * MIB + 3,
        Uint8Array.from({ length: 251 }, (_, value) => value),
      );
      const ran = await host.run(["cat"], { signal, stdin: bytes });
      assert.ok(ran.stdout.equals(bytes));
    });

    const failures: readonly { what: string; argv: string[]; says: RegExp }[] = [
      {
        what: "an exit status",
        argv: script("echo too bad >&2; exit 3"),
        says: /sh -c .* failed with exit status 3: too bad/,
      },
      { what: "a signal", argv: script("kill -9 $$"), says: /was ended by SIGKILL/ },
      {
        what: "a missing program",
        argv: ["drops-no-such-program"],
        says: /drops-no-such-program .*not found/,
      },
    ];
    for (const row of failures) {
      test(`run throws for ${row.what}`, async () => {
        await assert.rejects(host.run(row.argv, { signal }), (error) => {
          assert.ok(isFailure(error, "host/command-failed"));
          assert.match(error.message, row.says);
          return true;
        });
      });
    }

    test("a missing program is exit status 127 for who judges it", async () => {
      const ran = await host.run(["drops-no-such-program"], { signal, okExits: [127] });
      assert.equal(ran.exit, 127);
      assert.match(ran.stderr, /not found|No such file/);
      await using command = await host.start(["drops-no-such-program"], { signal });
      command.stdin.write("nobody reads this");
      for await (const _ of command.stdout) assert.fail("no output was expected");
      await assert.rejects(expectSuccess(command, "it"), /it was not found/);
    });

    test("run takes the statuses that are wanted", async () => {
      const ran = await host.run(["false"], { signal, okExits: [0, 1] });
      assert.equal(ran.exit, 1);
    });

    test("run throws when there is more output than it may keep", async () => {
      const running = host.run(["head", "-c", "3000000", "/dev/zero"], { signal, maxStdout: 1_000_000 });
      await assert.rejects(running, /printed more than 1000000 bytes/);
    });

    test("stderr is kept to its last 8 KiB, without control characters", async () => {
      const ran = await host.run(
        script("head -c 100000 /dev/zero | tr '\\0' x >&2; printf '\\033[31mred\\033[0m\\a\\r\\nend' >&2"),
        {
          signal,
        },
      );
      assert.match(ran.stderr, /^x{8000,8192}red\nend$/);
    });

    test("start hands out streams and the exit; success is for the caller to check", async () => {
      await using command = await host.start(script("cat; echo so it goes >&2; exit 4"), { signal });
      command.stdin.end("in and out");
      let text = "";
      for await (const piece of command.stdout) text += piece;
      assert.equal(text, "in and out");
      assert.deepEqual(await command.ended, { exit: 4, signal: undefined, stderr: "so it goes" });
      await assert.rejects(
        expectSuccess(command, "the cat"),
        /the cat failed with exit status 4: so it goes/,
      );
    });

    test("output comes as it is written, not when a buffer is full", async () => {
      await using command = await host.start(script("while read -r line; do echo got $line; done"), {
        signal,
      });
      const answers = command.stdout[Symbol.asyncIterator]();
      for (const word of ["one", "two"]) {
        command.stdin.write(`${word}\n`);
        assert.equal(String((await answers.next()).value), `got ${word}\n`);
      }
      command.stdin.end();
      assert.equal((await answers.next()).done, true);
      await expectSuccess(command, "the loop");
    });

    test("what nobody reads is not read: 10 GB do not grow memory, then all of a large output arrives", async () => {
      await using flood = await host.start(["head", "-c", "10G", "/dev/zero"], { signal });
      const earlier = process.memoryUsage();
      await sleep(700);
      const later = process.memoryUsage();
      const grown = later.arrayBuffers + later.heapUsed - earlier.arrayBuffers - earlier.heapUsed;
      assert.ok(grown < 24 * MIB, `memory grew by ${grown} bytes`);
      await using command = await host.start(["head", "-c", "50000000", "/dev/zero"], { signal });
      await sleep(200);
      let length = 0;
      for await (const piece of command.stdout as AsyncIterable<Buffer>) length += piece.length;
      assert.equal(length, 50_000_000);
      await expectSuccess(command, "head");
      assert.ok(flood.stdout.readable);
    });

    test("what a command printed before it ended waits for whoever reads late", async () => {
      for (const wait of [0, 5, 50, 300]) {
        await using command = await host.start(["seq", "1", "12000"], { signal });
        await sleep(wait);
        let length = 0;
        for await (const piece of command.stdout as AsyncIterable<Buffer>) length += piece.length;
        assert.equal(length, 60894, `${wait} ms after the start`);
        assert.equal((await command.ended).exit, 0);
      }
    });

    test("much on stderr does not hold up stdout", async () => {
      const ran = await host.run(script("head -c 20000000 /dev/zero >&2; head -c 1000000 /dev/zero"), {
        signal,
      });
      assert.equal(ran.stdout.length, 1_000_000);
    });

    test("a command that leaves without reading its input fails the writer, not the program", async () => {
      await using command = await host.start(script("exit 5"), { signal });
      const endless = async function* () {
        for (;;) yield Buffer.alloc(64 * 1024);
      };
      await assert.rejects(pipeline(endless, command.stdin), /EPIPE|ECONNRESET|premature close/i);
      assert.equal((await command.ended).exit, 5);
    });

    test("closing ends the input first, so that a command can clean up", async () => {
      const trace = join(tmpdir(), `drops-trace-${randomUUID()}`);
      const command = await host.start(
        script(`echo up; cat >/dev/null; echo late; echo cleaned > ${trace}`),
        {
          signal,
        },
      );
      await command.stdout[Symbol.asyncIterator]().next();
      await command[Symbol.asyncDispose]();
      assert.equal((await host.run(["cat", trace], { signal })).stdout.toString(), "cleaned\n");
      const { exit, signal: forced } = await command.ended;
      assert.deepEqual([exit, forced], [0, undefined], "it did not need to be forced");
      await host.run(["rm", trace], { signal });
    });

    const runs = async (command: string) => {
      const told = await host.run(["ps", "-eo", "args"], { signal });
      return told.stdout.toString().split("\n").includes(command);
    };

    test("closing forces a stubborn command, and what it started", async () => {
      const mark = `31${Math.floor(Math.random() * 1e6)}`;
      {
        await using command = await host.start(
          script(`trap '' TERM; sleep ${mark} & sleep ${mark}; echo up`),
          { signal },
        );
        assert.ok(command.stdout.readable);
      }
      await until("both end", async () => !(await runs(`sleep ${mark}`)));
    });

    test("aborting rejects with the reason and ends the command", async () => {
      const mark = `32${Math.floor(Math.random() * 1e6)}`;
      const reason = new Error("enough");
      const stop = new AbortController();
      const running = host.run(["sleep", mark], { signal: stop.signal });
      const started = await host.start(["sleep", mark], { signal: stop.signal });
      setTimeout(() => stop.abort(reason), 150);
      await assert.rejects(running, reason);
      await assert.rejects(started.ended, reason);
      await assert.rejects(async () => {
        for await (const _ of started.stdout) assert.fail("no output was expected");
      }, reason);
      await started[Symbol.asyncDispose]();
      await until("both end", async () => !(await runs(`sleep ${mark}`)));
      await assert.rejects(host.run(["true"], { signal: stop.signal }), reason);
      await assert.rejects(host.start(["true"], { signal: stop.signal }), reason);
    });

    test("many commands at once", async () => {
      const ran = await Promise.all(
        Array.from({ length: 8 }, (_, number) => host.run(script(`sleep 0.1; echo ${number}`), { signal })),
      );
      assert.deepEqual(
        ran.map((one) => Number(one.stdout)),
        [0, 1, 2, 3, 4, 5, 6, 7],
      );
    });

    test("the user is the one that commands run as", async () => {
      const ran = await host.run(["id", "-u"], { signal });
      assert.equal(Number(ran.stdout), host.user.uid);
      const same = await host.run(["id", "-un"], { signal, as: host.user.name });
      assert.equal(same.stdout.toString().trim(), host.user.name);
    });
  });
}

/** What a host promises when its user is root. */
export function rootHostContract(name: string, open: () => Promise<Host>): void {
  test(`${name} runs commands as another user, with their groups and home`, async () => {
    const signal = new AbortController().signal;
    await using host = await open();
    const text = "id -un; id -gn; id -Gn; echo $HOME; echo $USER; echo $DROPS_TEST";
    const ran = await host.run(["sh", "-c", text], { signal, as: "postgres", env: { DROPS_TEST: "set" } });
    const [user, group, groups, home, userName, set] = ran.stdout.toString().split("\n");
    assert.deepEqual([user, group, userName, set], ["postgres", "postgres", "postgres", "set"]);
    assert.match(groups ?? "", /postgres/);
    assert.equal(home, "/var/lib/postgresql");
    await assert.rejects(
      host.run(["id"], { signal, as: "nobody-of-this-name" }),
      /there is no user nobody-of-this-name/,
    );
  });
}
