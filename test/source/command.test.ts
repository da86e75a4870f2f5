import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import { openLocalHost } from "../../src/host/local.ts";
import type { DropsError } from "../../src/lib/errors.ts";
import type { CommandPolicy } from "../../src/policy/schema.ts";
import { freezeCommand } from "../../src/source/command.ts";
import { type CollectingSink, collectingSink } from "../support/collecting-sink.ts";
import { captureContext } from "../support/postgres-captures.ts";

const policy = (argv: string[], more: Partial<CommandPolicy> = {}): CommandPolicy => ({
  name: "dump",
  kind: "command",
  argv,
  ...more,
});

async function ship(source: CommandPolicy, sink: CollectingSink, signal = AbortSignal.timeout(300_000)) {
  await using host = await openLocalHost();
  await using frozen = await freezeCommand(source, captureContext(host, { signal }));
  await frozen.ship(sink, { signal });
  return frozen;
}

test("what a command prints becomes the entry output", async () => {
  const sink = collectingSink();
  const frozen = await ship(
    policy(["sh", "-c", "head -c 5000000 /dev/zero; printf '%s' \"$1\"", "sh", "a b; $HOME"], {
      restore_hint: "git clone output",
    }),
    sink,
  );
  const bytes = sink.bytes("output");
  assert.equal(bytes.length, 5_000_010);
  assert.equal(bytes.subarray(5_000_000).toString(), "a b; $HOME"); // no shell between
  assert.equal(sink.entries.length, 1);
  assert.deepEqual([sink.entry("output").how, sink.entry("output").mode], ["content", 0o600]);
  assert.equal(sink.entry("output").mtime, BigInt(frozen.capturedAt.getTime()) * 1_000_000n);
  assert.equal(frozen.facts["restore_hint"], "git clone output");
  assert.deepEqual(sink.notes, []);
});

test("an empty output of a command that succeeded is an output, and its last words are a note", async () => {
  const sink = collectingSink();
  await ship(policy(["sh", "-c", "echo first >&2; echo 'it is deprecated' >&2"]), sink);
  assert.equal(sink.bytes("output").length, 0);
  assert.deepEqual(sink.notes, ["sh said: it is deprecated"]);
});

test("its standard input is at its end", async () => {
  const sink = collectingSink();
  await ship(policy(["sh", "-c", "cat; echo done"]), sink);
  assert.equal(sink.bytes("output").toString(), "done\n");
});

test("run_as is who it runs as", async () => {
  if (process.getuid?.() !== 0) throw new Error("run the tests as root, or as a user with sudo -n");
  const sink = collectingSink();
  await ship(policy(["id", "-un"], { run_as: "nobody" }), sink);
  assert.equal(sink.bytes("output").toString(), "nobody\n");
});

describe("a stream that ended is not success", () => {
  const failures: readonly { readonly name: string; readonly argv: string[]; readonly message: RegExp }[] = [
    {
      name: "exit status",
      argv: ["sh", "-c", "head -c 300000 /dev/zero; echo warning >&2; echo 'disk read error' >&2; exit 7"],
      message: /^command sh of source dump on this machine failed \(exit 7\): disk read error$/,
    },
    {
      name: "a signal",
      argv: ["sh", "-c", "head -c 300000 /dev/zero; kill -9 $$"],
      message: /^command sh of source dump on this machine was ended by SIGKILL$/,
    },
    {
      name: "no such program",
      argv: ["drops-no-such-program"],
      message:
        /^command drops-no-such-program of source dump on this machine failed \(exit 127\): .*not found$/,
    },
  ];
  for (const { name, argv, message } of failures) {
    test(name, async () => {
      const sink = collectingSink();
      await assert.rejects(ship(policy(argv), sink), (error: DropsError) => {
        assert.equal(error.code, "source/failed");
        assert.match(error.message, message);
        return true;
      });
      assert.deepEqual(sink.entries, []);
    });
  }

  test("an abort ends the command", async () => {
    const sink = collectingSink();
    const marker = `drops-${createHash("sha256").update(String(process.hrtime.bigint())).digest("hex")}`;
    const stop = new AbortController();
    const running = ship(
      policy(["sh", "-c", "while :; do echo tick; sleep 0.05; done", marker]),
      sink,
      stop.signal,
    );
    setTimeout(() => stop.abort(new Error("enough")), 300);
    await assert.rejects(running, /enough/);
    assert.deepEqual(sink.entries, []);
    await using host = await openLocalHost();
    const left = await host.run(["pgrep", "-f", `^sh .*${marker}`], {
      signal: AbortSignal.timeout(300_000),
      okExits: [0, 1],
    });
    assert.equal(left.stdout.toString(), "");
  });
});
