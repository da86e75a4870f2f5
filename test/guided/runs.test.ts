import assert from "node:assert/strict";
import { appendFile, chmod, mkdir, readdir, readFile, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { createRun, findRuns, newRunId, openRun, type RunMeta } from "../../src/guided/journal/runs.ts";
import type { Host } from "../../src/host/host.ts";
import { openLocalHost } from "../../src/host/local.ts";
import { openSshHost } from "../../src/host/ssh.ts";
import { isFailure } from "../../src/lib/errors.ts";
import { killingBefore } from "../support/killed-script.ts";
import { runTool, scratchDirectory } from "../support/scratch.ts";
import { type Sshd, startSshd } from "../support/sshd.ts";

const signal = new AbortController().signal;
const RUN = "20261124T003638-a1b2c3";
const meta = (run = RUN): RunMeta => ({
  run,
  policy: "ops",
  snapshot: "0123456789abcdef",
  host: "root@new.example.org",
  started: "2026-11-24T00:36:38.000Z",
  steps: ["fence", "preflight"],
  sources: ["bridge-db"],
});

let clock = Date.parse("2026-11-24T00:36:38Z");
const now = () => {
  clock += 1000;
  return new Date(clock);
};

/** A host's base directory and an operator's state directory. */
async function places() {
  const scratch = await scratchDirectory();
  const how = {
    signal,
    now,
    base: join(scratch.path, "var/drops/restore"),
    state: join(scratch.path, "state"),
  };
  return {
    how,
    file: join(how.base, RUN, "journal.jsonl"),
    copy: join(how.state, "restore/ops", `${RUN}.jsonl`),
    [Symbol.asyncDispose]: () => scratch[Symbol.asyncDispose](),
  };
}

test("a run's id is its time and random digits", () => {
  const id = newRunId(new Date("2026-11-24T00:36:38.987Z"), () => new Uint8Array([0xa1, 0xb2, 0xc3]));
  assert.equal(id, RUN);
});

describe("runs and their journals", { timeout: 1_800_000 }, () => {
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

  for (const [name, open] of [
    ["this machine", openLocalHost],
    ["SSH", () => openRemote()],
  ] as const) {
    test(`what is appended on ${name} is on both sides and comes back`, async () => {
      await using host = await open();
      await using at = await places();
      const journal = await createRun(host, meta(), at.how);
      const events = [
        { event: "step-begun", step: "fence" },
        { event: "answer", text: "ja, ös ist aus\n\u0000\"'$(x)" },
      ];
      for (const event of events) await journal.append(event, at.how);
      assert.deepEqual(
        journal.lines.map(({ n, event }) => [n, event]),
        [
          [0, "created"],
          [1, "step-begun"],
          [2, "answer"],
        ],
      );
      const again = await openRun(host, RUN, at.how);
      assert.deepEqual(again.meta, meta());
      assert.deepEqual(again.journal.lines, journal.lines);
      assert.deepEqual([again.journal.notes, again.journal.onlyWithOperator], [[], []]);
      assert.equal(await readFile(at.copy, "utf8"), await readFile(at.file, "utf8"));
      for (const path of [at.file, at.copy]) assert.equal((await stat(path)).mode & 0o777, 0o600);
      assert.equal((await stat(at.how.base)).mode & 0o777, 0o700);
    });
  }

  test("many appends at once are lines in order", async () => {
    await using at = await places();
    const journal = await createRun(local, meta(), at.how);
    const texts = Array.from({ length: 20 }, (_, index) => "x".repeat(index * 100));
    await Promise.all(texts.map((text) => journal.append({ event: "many", text }, at.how)));
    const { journal: read } = await openRun(local, RUN, at.how);
    assert.deepEqual(
      read.lines.slice(1).map((line) => line["text"]),
      texts,
    );
  });

  test("made twice it is one run; another one of that id is refused", async () => {
    await using at = await places();
    await createRun(local, meta(), at.how);
    const journal = await createRun(local, meta(), at.how);
    assert.equal(journal.lines.length, 1);
    const other = { ...meta(), snapshot: "fedcba9876543210" };
    await assert.rejects(createRun(local, other, at.how), (error) => isFailure(error, "safety/refused"));
    assert.deepEqual((await openRun(local, RUN, at.how)).meta, meta());
    assert.deepEqual(await readdir(join(at.how.base, RUN)), ["journal.jsonl", "run.json"]);
  });

  test("runs are found newest first, with what closed them; the unreadable and the never begun apart", async () => {
    await using at = await places();
    assert.deepEqual(await findRuns(local, at.how), { runs: [], unreadable: [] });
    const ids = ["20261101T000000-000001", "20261103T000000-000003", "20261102T000000-000002"];
    for (const run of ids) await createRun(local, meta(run), at.how);
    const { journal } = await openRun(local, ids[0] ?? "", at.how);
    await journal.append({ event: "closed", outcome: "rolled-back" }, at.how);
    await mkdir(join(at.how.base, "20261104T000000-000004")); // never begun
    await mkdir(join(at.how.base, "20261105T000000-000005"));
    await writeFile(join(at.how.base, "20261105T000000-000005/run.json"), '{"run": "2026');
    await mkdir(join(at.how.base, "something else"));
    const { runs, unreadable } = await findRuns(local, at.how);
    assert.deepEqual(
      runs.map(({ meta: { run }, closed }) => [run, closed]),
      [
        ["20261103T000000-000003", undefined],
        ["20261102T000000-000002", undefined],
        ["20261101T000000-000001", "rolled-back"],
      ],
    );
    assert.deepEqual(unreadable, [`${at.how.base}/20261105T000000-000005/run.json`]);
    for (const run of ["20991231T000000-ffffff", "../../etc", "20261104T000000-000004"])
      await assert.rejects(openRun(local, run, at.how), (error) => isFailure(error, "snapshot/missing"));
  });

  const torn: readonly { name: string; tail: string | Buffer; notes: RegExp }[] = [
    { name: "half a line", tail: '{"n":2,"at":"2026-', notes: /last line .* was interrupted/ },
    { name: "zeros after a power cut", tail: Buffer.alloc(100), notes: /last line .* was interrupted/ },
    {
      name: "half a line whose end is there",
      tail: '{"n":2,"at\n',
      notes: /^line 3 of journal .* cannot be read/,
    },
    { name: "a line of something else", tail: '["n"]\n', notes: /^line 3 of journal .* cannot be read/ },
    { name: "bytes that are no text", tail: Buffer.from([0xff, 0xfe, 0x0a]), notes: /^line 3 / },
  ];
  for (const { name, tail, notes } of torn) {
    test(`${name} is passed over with a note, and spoils nothing that follows`, async () => {
      await using at = await places();
      const journal = await createRun(local, meta(), at.how);
      await journal.append({ event: "one" }, at.how);
      await appendFile(at.file, tail);
      const opened = await openRun(local, RUN, at.how);
      assert.match(opened.journal.notes.join("\n"), notes);
      await opened.journal.append({ event: "two" }, at.how);
      const { journal: read } = await openRun(local, RUN, at.how);
      assert.deepEqual(
        read.lines.map(({ event }) => event),
        ["created", "one", "two"],
      );
    });
  }

  test("another machine gets all lines; a copy that lacks some gets them; the host's count", async () => {
    await using at = await places();
    const first = await createRun(local, meta(), at.how);
    await first.append({ event: "from the first" }, at.how);
    const elsewhere = { ...at.how, state: join(at.how.state, "elsewhere") };
    const second = await openRun(local, RUN, elsewhere);
    await second.journal.append({ event: "from the second" }, elsewhere);
    assert.deepEqual(
      second.journal.lines.map(({ n }) => n),
      [0, 1, 2],
    );
    const back = await openRun(local, RUN, at.how);
    assert.deepEqual(back.journal.lines, second.journal.lines);
    assert.equal(await readFile(at.copy, "utf8"), await readFile(at.file, "utf8"));
  });

  test("lines that only the operator has are named and not believed", async () => {
    await using at = await places();
    const journal = await createRun(local, meta(), at.how);
    const before = (await stat(at.file)).size;
    await journal.append({ event: "lost" }, at.how);
    await truncate(at.file, before); // as when the provider set the disk back
    const { journal: read } = await openRun(local, RUN, at.how);
    assert.deepEqual(
      read.lines.map(({ event }) => event),
      ["created"],
    );
    assert.deepEqual(
      read.onlyWithOperator.map(({ event }) => event),
      ["lost"],
    );
    assert.match(read.notes.join("\n"), /has 1 lines that this machine lacks/);
    assert.equal((await read.append({ event: "next" }, at.how)).n, 2, "the number is not used again");
  });

  test("a copy that cannot be written is a note; the run goes on", async () => {
    await using at = await places();
    await mkdir(at.how.state);
    await writeFile(join(at.how.state, "restore"), "in the way");
    const journal = await createRun(local, meta(), at.how);
    await journal.append({ event: "on" }, at.how);
    assert.match(journal.notes.join("\n"), /copy on this machine cannot be written/);
    assert.equal(journal.notes.length, 2, "reading and writing, each said once");
    assert.deepEqual((await openRun(local, RUN, at.how)).journal.lines, journal.lines);
  });

  test("a connection that is lost in the middle of a line leaves no half line", async () => {
    await using at = await places();
    await createRun(local, meta(), at.how);
    const text = await readFile(at.file, "utf8");
    const cut = cuttingInput(local, 30);
    const { journal } = await openRun(cut, RUN, at.how);
    await assert.rejects(journal.append({ event: "half".repeat(50) }, at.how), (error) =>
      isFailure(error, "host/unreachable"),
    );
    assert.equal(await readFile(at.file, "utf8"), text);
    const partMeta = { ...meta("20261124T003638-ffffff") };
    await assert.rejects(createRun(cut, partMeta, at.how), (error) => isFailure(error, "host/unreachable"));
    assert.equal((await findRuns(local, at.how)).runs.length, 1);
    await createRun(local, partMeta, at.how);
    assert.equal((await findRuns(local, at.how)).runs.length, 2);
  });

  test("a connection that is lost while appending: the line is there whole or not at all, and the next one is", async () => {
    await using at = await places();
    await using host = await openRemote();
    const journal = await createRun(host, meta(), at.how);
    const tries = 12;
    for (let attempt = 1; attempt <= tries; attempt += 1) {
      const appending = journal.append({ event: "try", attempt }, at.how).then(
        () => true,
        (error: unknown) => assert.ok(isFailure(error, "host/unreachable"), String(error)),
      );
      await new Promise((resolve) => setTimeout(resolve, attempt * 4));
      await sshd.killConnections();
      await appending;
    }
    // The last kill may be noticed only by the command after it.
    await journal.append({ event: "last" }, at.how).catch(() => journal.append({ event: "last" }, at.how));
    const { journal: read } = await openRun(host, RUN, at.how);
    const events = read.lines.map(({ event }) => event);
    assert.deepEqual([events[0], events.at(-1)], ["created", "last"]);
    const believed = journal.lines.map(({ n }) => n);
    assert.ok(
      believed.every((n) => read.lines.some((line) => line.n === n)),
      "what was promised is there",
    );
    assert.ok(new Set(read.lines.map(({ n }) => n)).size === read.lines.length, "no number twice");
  });

  test("killed anywhere in making a run, it is made by doing it again", async () => {
    for (let command = 1, isKilled = true; isKilled; command += 3) {
      await using at = await places();
      isKilled = await fails(createRun(killingBefore(command, local), meta(), at.how));
      const journal = await createRun(local, meta(), at.how);
      await journal.append({ event: "on" }, at.how);
      const { runs, unreadable } = await findRuns(local, at.how);
      assert.deepEqual(unreadable, []);
      assert.deepEqual(
        runs[0]?.lines.map(({ event }) => event),
        ["created", "on"],
        `before command ${command}`,
      );
      assert.ok(command < 200);
    }
  });

  test("killed before any command of appending, the journal reads and grows", async () => {
    await using at = await places();
    await createRun(local, meta(), at.how);
    let command = 1;
    for (let isKilled = true; isKilled; command += 1) {
      const { journal } = await openRun(local, RUN, at.how);
      const before = journal.lines.length;
      const dying = await openRun(killingBefore(command, local), RUN, at.how).catch(() => undefined);
      isKilled = dying === undefined || (await fails(dying.journal.append({ event: "dying" }, at.how)));
      const { journal: read } = await openRun(local, RUN, at.how);
      assert.ok(read.lines.length >= before, `before command ${command}`);
      await read.append({ event: "alive" }, at.how);
      assert.equal((await openRun(local, RUN, at.how)).journal.lines.at(-1)?.event, "alive");
    }
    assert.ok(command > 10, `${command} commands`);
  });

  test("a full disk is told, leaves whole lines only, and is over when there is space", async () => {
    if (process.getuid?.() !== 0) throw new Error("needs root for a small file system");
    await using at = await places();
    const disk = join(at.how.state, "..", "var");
    await mkdir(disk);
    await runTool("mount", "-t", "tmpfs", "-o", "size=64k", "none", disk);
    await using undo = new AsyncDisposableStack();
    undo.defer(async () => void (await runTool("umount", disk)));
    const journal = await createRun(local, meta(), at.how);
    const text = "x".repeat(3000);
    const filling = async () => {
      for (;;) await journal.append({ event: "fill", text }, at.how);
    };
    await assert.rejects(filling(), (error) => isFailure(error, "space/low"));
    const { journal: read } = await openRun(local, RUN, at.how);
    assert.deepEqual(read.notes, [], "no half line");
    assert.deepEqual(read.lines, journal.lines);
    await assert.rejects(createRun(local, meta("20261124T003638-ffffff"), at.how), (error) =>
      isFailure(error, "space/low"),
    );
    await runTool("mount", "-o", "remount,size=1m", disk);
    await journal.append({ event: "space again" }, at.how);
    assert.equal((await findRuns(local, at.how)).runs.length, 1);
    await createRun(local, meta("20261124T003638-ffffff"), at.how);
    assert.equal((await findRuns(local, at.how)).runs.length, 2);
  });

  test("a copy that others could read is closed to them", async () => {
    await using at = await places();
    const journal = await createRun(local, meta(), at.how);
    await chmod(at.copy, 0o644);
    await journal.append({ event: "on" }, at.how);
    assert.equal((await stat(at.copy)).mode & 0o777, 0o600);
  });
});

/** The same host, where only the first bytes of what a command is to read arrive. */
function cuttingInput(host: Host, bytes: number): Host {
  return {
    label: host.label,
    user: host.user,
    run: (argv, how) =>
      host.run(argv, how.stdin === undefined ? how : { ...how, stdin: how.stdin.slice(0, bytes) }),
    start: (argv, how) => host.start(argv, how),
    [Symbol.asyncDispose]: async () => {},
  };
}

async function fails(work: Promise<unknown>): Promise<boolean> {
  return work.then(
    () => false,
    () => true,
  );
}
