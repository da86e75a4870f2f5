import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { lockRestore } from "../../src/guided/journal/host-lock.ts";
import type { Host } from "../../src/host/host.ts";
import { openLocalHost } from "../../src/host/local.ts";
import { openSshHost } from "../../src/host/ssh.ts";
import { type DropsError, isFailure } from "../../src/lib/errors.ts";
import { killingBefore } from "../support/killed-script.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { type Sshd, startSshd } from "../support/sshd.ts";

const signal = new AbortController().signal;

describe("the lock of a host", { timeout: 1_800_000 }, () => {
  let sshd: Sshd;
  let local: Host;
  before(async () => {
    sshd = await startSshd();
    local = await openLocalHost();
  });
  after(async () => {
    await local[Symbol.asyncDispose]();
    await sshd[Symbol.asyncDispose]();
  });
  const openRemote = () => openSshHost(sshd.policy, { signal, home: "/" });
  const settings = (path: string, who = "anna on laptop") => ({
    signal,
    who,
    base: join(path, "var/drops/restore"),
    patience: 1,
  });

  test("a second operator is told who holds it, since when, and how to end that; afterwards it is free", async () => {
    await using scratch = await scratchDirectory();
    await using host = await openRemote();
    {
      await using lock = await lockRestore(host, settings(scratch.path, "anna\n\u001b[2J on laptop"));
      const refused = await lockRestore(local, settings(scratch.path, "bert")).then(
        () => assert.fail("locked twice"),
        (error: DropsError) => error,
      );
      assert.ok(isFailure(refused, "safety/refused"));
      assert.match(refused.message, /^anna +\[2J on laptop, since \d{4}-\d\d-\d\dT[\d:]+Z, is restoring/);
      assert.match(refused.hint ?? "", /kill \d+$/);
      assert.equal(lock.lost.aborted, false);
    }
    await using free = await lockRestore(local, settings(scratch.path, "bert"));
    assert.equal(free.lost.aborted, false);
  });

  test("a lost connection loses the lock: whoever worked under it is told, others may take it", async () => {
    await using scratch = await scratchDirectory();
    await using host = await openRemote();
    await using lock = await lockRestore(host, settings(scratch.path));
    const lost = new Promise((resolve) => lock.lost.addEventListener("abort", resolve));
    await sshd.killConnections();
    await lost;
    assert.ok(isFailure(lock.lost.reason, "host/unreachable"));
    await using next = await lockRestore(local, { ...settings(scratch.path), patience: 5 });
    assert.equal(next.lost.aborted, false);
  });

  test("releasing is no loss", async () => {
    await using scratch = await scratchDirectory();
    const lock = await lockRestore(local, settings(scratch.path));
    await lock[Symbol.asyncDispose]();
    assert.equal(lock.lost.aborted, false);
  });

  test("a lock can be taken over: its holder is told", async () => {
    await using scratch = await scratchDirectory();
    await using host = await openRemote();
    await using old = await lockRestore(host, settings(scratch.path));
    const lost = new Promise((resolve) => old.lost.addEventListener("abort", resolve));
    await using taken = await lockRestore(local, { ...settings(scratch.path, "bert"), takeOver: true });
    await lost;
    assert.equal(taken.lost.aborted, false);
    assert.match(await readFile(join(settings(scratch.path).base, "lock.holder"), "utf8"), /bert\n$/);
  });

  test("taking over what nobody holds ends nothing: a process that has that number by now is spared", async () => {
    await using scratch = await scratchDirectory();
    await using bystander = await local.start(["sleep", "1000"], { signal });
    const [pid = ""] = (await local.run(["pgrep", "-n", "-x", "sleep"], { signal })).stdout
      .toString()
      .split("\n");
    await using host = await openRemote();
    await using old = await lockRestore(host, settings(scratch.path));
    await local.run(
      [
        "sh",
        "-c",
        'printf "2026-11-24T00:00:00Z %s x\\n" "$1" >"$2"',
        "sh",
        pid,
        join(settings(scratch.path).base, "lock.holder"),
      ],
      { signal },
    );
    await assert.rejects(lockRestore(local, { ...settings(scratch.path), takeOver: true }), (error) =>
      isFailure(error, "safety/refused"),
    );
    assert.equal(old.lost.aborted, false);
    await local.run(["kill", "-0", pid], { signal });
    bystander.stdin.end();
  });

  test("waiting for it can be aborted, and then it is not held", async () => {
    await using scratch = await scratchDirectory();
    const old = await lockRestore(local, settings(scratch.path));
    const stop = new AbortController();
    const waiting = lockRestore(local, { ...settings(scratch.path), signal: stop.signal, patience: 600 });
    setTimeout(() => stop.abort(new Error("enough")), 200);
    await assert.rejects(waiting, /enough/);
    await old[Symbol.asyncDispose]();
    await using next = await lockRestore(local, settings(scratch.path));
    assert.equal(next.lost.aborted, false);
  });

  test("a base directory that cannot be made is a failure with the reason", async () => {
    await using scratch = await scratchDirectory();
    await using host = await openRemote();
    const how = { ...settings(scratch.path), base: "/proc/drops/restore" };
    await assert.rejects(lockRestore(host, how), (error) => isFailure(error, "host/command-failed"));
  });

  test("killed before any command, nobody holds it", async () => {
    await using scratch = await scratchDirectory();
    let command = 1;
    for (let isKilled = true; isKilled; command += 1) {
      const dying = await lockRestore(killingBefore(command, local), settings(scratch.path)).catch(
        () => undefined,
      );
      isKilled = dying === undefined;
      await dying?.[Symbol.asyncDispose]();
      await using next = await lockRestore(local, settings(scratch.path));
      assert.equal(next.lost.aborted, false, `before command ${command}`);
    }
    assert.ok(command > 8, `${command} commands`);
  });
});
