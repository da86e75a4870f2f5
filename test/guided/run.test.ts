import assert from "node:assert/strict";
import { test } from "node:test";
import { Answers } from "../../src/guided/run/answers.ts";
import { finishRun } from "../../src/guided/run/finish.ts";
import type { GuidedRun } from "../../src/guided/run/guided-run.ts";
import { rollbackRun } from "../../src/guided/run/rollback.ts";
import { type RunOutcome, runGuided } from "../../src/guided/run/run.ts";
import { DropsError, isFailure } from "../../src/lib/errors.ts";
import { Restore } from "../../src/policy/restore-schema.ts";
import { FakeHost, type FakeProcess, fakeReporter, Killed } from "../support/fake-ports.ts";
import { guidedRun, RESTORE } from "../support/guided-run.ts";

const { signal } = new AbortController();
const HOW = { signal };
const commands = {
  resume: "drops restore --resume R",
  rollback: "drops rollback --run R",
  finish: "drops restore --finish R",
};
const agreed = new Answers({ yes: true, fenced: true, prompt: undefined });
const RUN = guidedRun();
const UNITS = ["hs.service", "bridge.service"];

function hostOf(run: GuidedRun = RUN): FakeHost {
  return new FakeHost(run.groups, run.restore);
}

function restore(
  process: FakeProcess,
  how: { run?: GuidedRun; answers?: Answers; said?: string[] } = {},
): Promise<RunOutcome> {
  const { run = RUN, answers = agreed, said } = how;
  const parts = {
    ports: process.ports(),
    answers,
    reporter: fakeReporter(said),
    now: () => new Date(),
    commands,
  };
  return runGuided(run, parts, HOW);
}

function rollback(process: FakeProcess, run = RUN) {
  return rollbackRun(
    run,
    { ports: process.ports(), answers: agreed, reporter: fakeReporter(), commands },
    HOW,
  );
}

function finish(process: FakeProcess, run = RUN) {
  return finishRun(run, { ports: process.ports(), answers: agreed, reporter: fakeReporter(), commands }, HOW);
}

function lives(host: FakeHost): string[] {
  return [...host.slots.values()].map(({ live }) => live);
}

function assertRestored(host: FakeHost, message: string): void {
  assert.deepEqual(new Set(lives(host)), new Set(["new"]), message);
  assert.equal(host.gated, false, message);
  assert.deepEqual([...host.running].toSorted(), UNITS.toSorted(), message);
  assert.ok(
    host.seen.length > 0 && host.seen.every((what) => what === "new"),
    `${message}: ${host.seen.join()}`,
  );
}

function assertAsBefore(host: FakeHost, message: string): void {
  for (const [name, { live, staged, aside }] of host.slots)
    assert.deepEqual([live, staged, aside], ["old", "nothing", "nothing"], `${message}: ${name}`);
  assert.equal(host.gated, false, message);
  assert.deepEqual([...host.running].toSorted(), UNITS.toSorted(), message);
  assert.ok(!host.seen.some((what) => what.includes("+")), `${message}: ${host.seen.join()}`);
}

/** How many calls a run takes that nobody breaks off. */
async function lengthOf(work: (process: FakeProcess) => Promise<unknown>, host = hostOf()): Promise<number> {
  const process = host.process();
  await work(process);
  return process.calls;
}

async function dies(work: Promise<unknown>): Promise<void> {
  await assert.rejects(work, (error: unknown) => error instanceof Killed);
}

test("every step is done, in order, and journalled; services start on whole data", async () => {
  const host = hostOf();
  const outcome = await restore(host.process());
  assertRestored(host, "restored");
  assert.deepEqual(
    outcome.steps.map(({ id, outcome: how }) => `${id} ${how}`),
    ["fence", "preflight", "stop", "rocksdb", "postgres", "files", "start", "login", "messages"].map(
      (id) => `${id} done`,
    ),
  );
  const events = host.lines.map(({ event }) => event);
  assert.ok(events.indexOf("active-before") < events.indexOf("swapped"));
  assert.ok(outcome.secondsToStarted !== undefined && outcome.secondsToStarted > 0);
  const messages = outcome.steps.at(-1);
  assert.deepEqual(messages?.answers, [{ item: "a message arrives", answer: "not asked", note: "" }]);
});

for (const afterEffect of [false, true]) {
  const when = afterEffect ? "after the effect of" : "before";

  test(`killed ${when} every call, a resume ends as if nothing had happened`, async () => {
    const length = await lengthOf((process) => restore(process));
    assert.ok(length > 60, `${length} calls`);
    for (let dieAt = 1; dieAt <= length; dieAt++) {
      const host = hostOf();
      const process = host.process({ dieAt, afterEffect });
      await restore(process).catch(() => {});
      await restore(host.process());
      assertRestored(host, `killed at ${dieAt}`);
      assert.deepEqual(host.lines.filter(({ event }) => event === "active-before").length, 1);
    }
  });

  test(`killed ${when} every call, with a reboot that forgets the gate, a resume ends with whole data`, async () => {
    const length = await lengthOf((process) => restore(process));
    for (let dieAt = 1; dieAt <= length; dieAt++) {
      const host = hostOf();
      host.durable = false;
      await restore(host.process({ dieAt, afterEffect })).catch(() => {});
      host.reboot();
      const before = host.seen.length;
      await restore(host.process());
      assert.deepEqual(new Set(lives(host)), new Set(["new"]), `killed at ${dieAt}`);
      assert.deepEqual([...host.running].toSorted(), UNITS.toSorted(), `killed at ${dieAt}`);
      assert.equal(host.gated, false);
      const later = host.seen.slice(before);
      assert.ok(
        later.every((what) => what === "new"),
        `killed at ${dieAt}: ${later.join()}`,
      );
    }
  });

  test(`killed ${when} every call, a durable gate keeps services from half a swap over a reboot`, async () => {
    const length = await lengthOf((process) => restore(process));
    for (let dieAt = 1; dieAt <= length; dieAt++) {
      const host = hostOf();
      await restore(host.process({ dieAt, afterEffect })).catch(() => {});
      host.reboot();
      await restore(host.process());
      assert.ok(!host.seen.some((what) => what.includes("+")), `killed at ${dieAt}: ${host.seen.join()}`);
      assert.deepEqual(new Set(lives(host)), new Set(["new"]), `killed at ${dieAt}`);
    }
  });

  test(`killed ${when} every call, a rollback brings back what was`, async () => {
    const length = await lengthOf((process) => restore(process));
    for (let dieAt = 1; dieAt <= length; dieAt++) {
      const host = hostOf();
      await restore(host.process({ dieAt, afterEffect })).catch(() => {});
      await rollback(host.process());
      assertAsBefore(host, `killed at ${dieAt}`);
      await assert.rejects(restore(host.process()), /rolled-back: there is nothing to continue/);
    }
  });

  test(`a rollback that is killed ${when} every call is done by another one`, async () => {
    const done = hostOf();
    await restore(done.process());
    const length = await lengthOf((process) => rollback(process), done);
    for (let dieAt = 1; dieAt < length; dieAt++) {
      const host = hostOf();
      await restore(host.process());
      await dies(rollback(host.process({ dieAt, afterEffect })));
      if (host.lines.some(({ event }) => event === "closed")) continue;
      await rollback(host.process());
      assertAsBefore(host, `killed at ${dieAt}`);
    }
  });

  test(`a finish that is killed ${when} every call is done by another one, and no rollback gets between`, async () => {
    const done = hostOf();
    await restore(done.process());
    const length = await lengthOf((process) => finish(process), done);
    for (let dieAt = 1; dieAt < length; dieAt++) {
      const host = hostOf();
      await restore(host.process());
      await dies(finish(host.process({ dieAt, afterEffect })));
      const begun = host.lines.some(({ event }) => event === "finish-begun");
      if (begun) await assert.rejects(rollback(host.process()), /being finished/);
      await finish(host.process());
      assertRestored(host, `killed at ${dieAt}`);
      assert.ok([...host.slots.values()].every(({ aside }) => aside === "nothing"));
    }
  });
}

test("what was not running before is not started by a rollback", async () => {
  const host = hostOf();
  host.running.delete("bridge.service");
  await restore(host.process());
  const { started } = await rollback(host.process());
  assert.deepEqual(started, ["hs.service"]);
  assert.deepEqual([...host.running], ["hs.service"]);
});

test("a rollback before anything was stopped stops nothing", async () => {
  const host = hostOf();
  host.answers = {
    preflight: [{ name: "locale", ok: false, found: "de_DE is missing", hint: "locale-gen" }],
  };
  await assert.rejects(restore(host.process()), /locale: de_DE is missing/);
  await rollback(host.process());
  assertAsBefore(host, "rolled back");
  assert.deepEqual(host.seen, [], "nothing was started anew");
});

test("a rollback is refused as a whole when old data of one is gone", async () => {
  const host = hostOf();
  await restore(host.process());
  const [first] = host.slots.values();
  assert.ok(first);
  first.aside = "nothing";
  await assert.rejects(rollback(host.process()), /the old data of .* is gone/);
  assertRestored(host, "untouched");
});

test("data that differs from the snapshot is not swapped in, and brought anew by a resume", async () => {
  const host = hostOf();
  host.wrong.set("bridge-db", 1);
  await assert.rejects(restore(host.process()), (error: unknown) => {
    assert.ok(isFailure(error, "data/damaged"));
    assert.match(error.message, /^step 5, .*: bridge-db is not as it was captured: bridge-db differs$/);
    assert.match(error.hint ?? "", /drops restore --resume R\nor back: drops rollback --run R$/);
    return true;
  });
  assert.deepEqual([host.slots.get("bridge-db")?.live, host.gated, host.running.size], ["old", true, 0]);
  await restore(host.process());
  assertRestored(host, "resumed");
});

test("what the same again cannot change is told without the offer of a resume, and can be rolled back", async () => {
  const host = hostOf();
  const ports = host.process().ports();
  const broken = { ...ports, replacements: new Map(ports.replacements) };
  const database = ports.replacements.get("bridge-db");
  assert.ok(database);
  broken.replacements.set(
    "bridge-db",
    Object.assign(Object.create(database), {
      stage: async () => {
        throw new DropsError("format/unsupported", "the dump cannot be loaded", { hint: "load it by hand" });
      },
    }),
  );
  const parts = { ports: broken, answers: agreed, reporter: fakeReporter(), now: () => new Date(), commands };
  await assert.rejects(runGuided(RUN, parts, HOW), (error: unknown) => {
    assert.ok(isFailure(error, "format/unsupported"));
    assert.equal(error.hint, "load it by hand\nor back: drops rollback --run R");
    return true;
  });
  await rollback(host.process());
  assertAsBefore(host, "rolled back");
});

test("tokens that do not fit together stop the restore before the files are swapped", async () => {
  const host = hostOf();
  host.answers = { appservice: [{ name: "as_token", ok: false, found: "differ", hint: "of one date" }] };
  await assert.rejects(restore(host.process()), /do not match: as_token: differ/);
  assert.deepEqual([host.slots.get("registrations")?.live, host.running.size], ["old", 0]);
});

test("a unit that does not start fails with what is known; a resume tries again", async () => {
  const host = hostOf();
  host.broken.add("bridge.service");
  await assert.rejects(restore(host.process()), (error: unknown) => {
    assert.ok(isFailure(error, "source/failed"));
    assert.match(error.message, /^step 7, .*: bridge.service is not ready: exit status 16$/);
    return true;
  });
  await assert.rejects(finish(host.process()), /has not started the services/);
  host.broken.clear();
  await restore(host.process());
  assertRestored(host, "resumed");
});

test("old data that holds the only copy of something is not removed, and a rollback stays possible", async () => {
  const host = hostOf();
  await restore(host.process());
  const last = [...host.slots.keys()].at(-1) ?? "";
  host.onlyOld.set(last, "the old /x/db holds what is in no source: /x/db/media (288 MiB)");
  await assert.rejects(finish(host.process()), (error: unknown) => {
    assert.ok(isFailure(error, "safety/refused"));
    assert.match(error.message, /media \(288 MiB\)/);
    assert.match(error.hint ?? "", /^move it to its place/);
    return true;
  });
  assert.deepEqual(new Set([...host.slots.values()].map(({ aside }) => aside)), new Set(["old"]));
  assert.ok(host.lines.every(({ event }) => event !== "finish-begun" && event !== "old-removed"));
  host.onlyOld.clear();
  await finish(host.process());
  assert.deepEqual(new Set([...host.slots.values()].map(({ aside }) => aside)), new Set(["nothing"]));
});

test("a unit that is ready and then crashes is no restore that is done, and nothing is finished", async () => {
  const host = hostOf();
  host.crashing.add("bridge.service");
  await assert.rejects(restore(host.process()), (error: unknown) => {
    assert.ok(isFailure(error, "source/failed"));
    assert.match(error.message, /bridge.service does not stay up: .*restarted 1 times$/);
    return true;
  });
  await assert.rejects(finish(host.process()), /has not started the services/);
  host.crashing.clear();
  await restore(host.process());
  assertRestored(host, "resumed");
});

test("a failed check of the service is told, and asked again by a resume", async () => {
  const host = hostOf();
  host.answers = { service: [{ name: "portals", ok: false, found: "none", hint: "look" }] };
  await assert.rejects(restore(host.process()), /its data is not as expected: portals: none/);
  host.answers = {};
  const outcome = await restore(host.process());
  assert.equal(outcome.steps.filter(({ outcome: how }) => how === "done").length, 1);
});

test("--yes never answers the fence", async () => {
  const host = hostOf();
  const answers = new Answers({ yes: true, fenced: false, prompt: undefined });
  await assert.rejects(restore(host.process(), { answers }), (error: unknown) => {
    assert.ok(isFailure(error, "safety/refused"));
    assert.match(error.message, /--yes does not/);
    return true;
  });
  assert.deepEqual([new Set(lives(host)), host.gated, host.running.size], [new Set(["old"]), false, 2]);
});

/** Someone who gives these answers in turn, and is asked no more. */
function person(replies: readonly string[], asked: string[] = []): Answers {
  const left = [...replies];
  const ask = async (question: string) => {
    asked.push(question);
    const reply = left.shift();
    if (reply === undefined) throw new DropsError("interrupted", "the person left");
    return reply;
  };
  return new Answers({ yes: false, fenced: false, prompt: { ask } });
}

test("a person is asked about the fence, every step that changes something, and the checklist", async () => {
  const asked: string[] = [];
  const host = hostOf();
  const answers = person(["off", "yes", "yes", "y", "Yes", "yes", "no", "nothing arrives"], asked);
  const outcome = await restore(host.process(), { answers });
  assert.deepEqual(asked, [
    "is old.example.org off, or its services stopped for good? type off, or no: ",
    "stop hs.service, bridge.service on root@new? [yes/no] ",
    "replace homeserver-db, media on root@new? [yes/no] ",
    "replace bridge-db on root@new? [yes/no] ",
    "replace registrations, bridge-state on root@new? [yes/no] ",
    "start hs.service, bridge.service with the restored data? [yes/no] ",
    "a message arrives? [yes/no] ",
    "what is wrong (kept in the journal): ",
  ]);
  assert.deepEqual(outcome.steps.at(-1)?.answers, [
    { item: "a message arrives", answer: "no", note: "nothing arrives" },
  ]);
});

test("an answer that is none is asked for again, and says what it takes", async () => {
  const asked: string[] = [];
  const answers = person(["yes", "off", "j", "yes", "yes", "yes", "yes", "yes", "yes"], asked);
  await restore(hostOf().process(), { answers });
  assert.deepEqual(
    asked.filter((question) => /;|please/.test(question)),
    [
      "this takes the word off, or no; is old.example.org off, or its services stopped for good? type off, or no: ",
      "yes or no, please: stop hs.service, bridge.service on root@new? [yes/no] ",
    ],
  );
});

test("waiting for a person is no work of a step", async () => {
  const host = hostOf();
  let ms = 0;
  const ask = async (question: string) => {
    ms += 3_600_000;
    return question.includes("type off") ? "off" : "yes";
  };
  const answers = new Answers({ yes: false, fenced: false, prompt: { ask } });
  const parts = { ports: host.process().ports(), answers, reporter: fakeReporter(), commands };
  const { steps } = await runGuided(RUN, { ...parts, now: () => new Date(ms) }, HOW);
  assert.deepEqual(
    steps.map(({ seconds }) => seconds),
    steps.map(() => 0),
  );
});

test("every step says when it is done", async () => {
  const said: string[] = [];
  await restore(hostOf().process(), { said });
  const done = said.filter((line) => /^step \d is done, in \d+ s$/.test(line));
  assert.deepEqual(
    done.map((line) => Number(line[5])),
    RUN.steps.map(({ number }) => number),
  );
});

const refusals: readonly { name: string; replies: readonly string[]; says: RegExp; gated: boolean }[] = [
  { name: "no to the fence", replies: ["no"], says: /old machine may still run/, gated: false },
  { name: "yes is not off", replies: ["yes", "yes", "yes"], says: /old machine may still run/, gated: false },
  { name: "no to stopping", replies: ["off", "no"], says: /stopped before step 3/, gated: false },
  {
    name: "no to one of the data",
    replies: ["off", "yes", "yes", "n"],
    says: /stopped before step 5/,
    gated: true,
  },
  {
    name: "three answers that are none",
    replies: ["off", "?", "", "ja"],
    says: /stopped before step 3/,
    gated: false,
  },
  { name: "leaving", replies: ["off"], says: /the person left/, gated: false },
];
for (const row of refusals) {
  test(`${row.name}: nothing is changed after it, and a resume goes on`, async () => {
    const host = hostOf();
    await assert.rejects(restore(host.process(), { answers: person(row.replies) }), (error: unknown) => {
      assert.ok(isFailure(error));
      assert.match(error.message, row.says);
      assert.match(error.hint ?? "", /drops restore --resume R\n.*drops rollback --run R$/);
      assert.equal(/the gate is closed, and the services are stopped/.test(error.message), row.gated);
      return true;
    });
    assert.deepEqual(new Set(lives(host)), new Set(["old"]));
    assert.ok([...host.slots.values()].every(({ staged }) => staged === "nothing"));
    assert.equal(host.gated, row.gated);
    await restore(host.process());
    assertRestored(host, "resumed");
  });
}

test("chosen steps alone are done, and nothing is swapped under running services", async () => {
  const run = guidedRun({ steps: ["rocksdb"] });
  assert.deepEqual(
    run.steps.map(({ id }) => id),
    ["fence", "preflight", "rocksdb"],
  );
  const host = hostOf(run);
  await assert.rejects(
    restore(host.process(), { run }),
    /hs.service, bridge.service is running: drops does not swap/,
  );
  assert.deepEqual(new Set(lives(host)), new Set(["old"]));
  await restore(host.process(), { run: guidedRun({ steps: ["stop", "rocksdb"] }) });
  assert.deepEqual(lives(host), ["new", "old", "old", "old"]);
  assert.equal(host.gated, true, "until the rest is in place");
  await assert.rejects(restore(host.process(), { run: RUN, answers: person([]) }), /the person left/);
  await restore(host.process());
  assertRestored(host, "the rest");
});

test("start is refused while a part is not in place", async () => {
  const host = hostOf();
  host.wrong.set("registrations", 1);
  await assert.rejects(restore(host.process()), /registrations is not as it was captured/);
  const early = {
    ...RUN,
    steps: RUN.steps
      .filter(({ id }) => id !== "files")
      .map((step) => {
        return step.id === "start" ? { ...step, replacements: ["registrations"] } : step;
      }),
  };
  await assert.rejects(
    restore(host.process(), { run: early }),
    /services do not start before all data is in place/,
  );
  assert.equal(host.running.size, 0);
});

test("one source alone is restored, with what lies in it", async () => {
  const run = guidedRun({ only: ["homeserver-db"] });
  const host = hostOf(run);
  await restore(host.process(), { run });
  assert.deepEqual([...host.slots.keys()], ["homeserver-db"]);
  assertRestored(host, "one source");
});

test("without units nothing is stopped or started, and it is said", async () => {
  const run = guidedRun({ restore: Restore.parse({}) });
  const host = hostOf(run);
  const outcome = await restore(host.process(), { run });
  assert.deepEqual(new Set(lives(host)), new Set(["new"]));
  assert.equal(host.gated, false);
  assert.deepEqual(
    outcome.steps.flatMap(({ notes }) => notes).filter((note) => note.includes("no units")).length,
    2,
  );
  assert.ok(!run.steps.some(({ id }) => id === "login"), "there is no bridge to log in to");
});

test("a journal that cannot be written stops the run before the deed", async () => {
  const host = hostOf();
  const process = host.process();
  const ports = process.ports();
  const full = new DropsError("space/low", "the host's disk is full");
  const append: typeof ports.journal.append = async (event, how) => {
    if (event.event === "active-before") throw full;
    return ports.journal.append(event, how);
  };
  const parts = {
    ports: { ...ports, journal: { lines: host.lines, append } },
    answers: agreed,
    reporter: fakeReporter(),
    now: () => new Date(),
    commands,
  };
  await assert.rejects(runGuided(RUN, parts, HOW), /disk is full/);
  assert.deepEqual([host.gated, host.running.size], [false, 2]);
  assert.equal(RESTORE.units.length, 2);
});
