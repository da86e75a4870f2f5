import assert from "node:assert/strict";
import { test } from "node:test";
import { groupSources, namesOf } from "../../src/guided/plan/groups.ts";
import { planSteps } from "../../src/guided/plan/plan.ts";
import type { PlanFacts } from "../../src/guided/plan/plan-facts.ts";
import { DEFAULT_RATES, measuredRates } from "../../src/guided/plan/rates.ts";
import { STEPS, stepOf } from "../../src/guided/run/steps.ts";
import { Restore } from "../../src/policy/restore-schema.ts";
import type { SourcePolicy } from "../../src/policy/schema.ts";
import {
  filesPolicy,
  postgresPolicy,
  RESTORE,
  recordOf,
  recordsOf,
  rocksdbPolicy,
  SOURCES,
} from "../support/guided-run.ts";

const files = filesPolicy;
const table: readonly {
  name: string;
  sources: readonly SourcePolicy[];
  only?: readonly string[];
  bootstrap?: readonly string[];
  links?: Readonly<Record<string, string>>;
  groups: readonly string[];
  leftOut?: readonly string[];
  notes?: readonly string[];
}[] = [
  {
    name: "media in a database's directory is swapped with it, and RocksDB comes before PostgreSQL before files",
    sources: [files("etc", "/etc/app"), ...SOURCES],
    groups: [
      "rocksdb homeserver-db+media",
      "postgres bridge-db",
      "files etc",
      "files registrations",
      "files bridge-state",
    ],
  },
  {
    name: "a directory that holds a database is swapped with it",
    sources: [rocksdbPolicy("db", "/var/lib/hs/db"), files("state", "/var/lib/hs/")],
    groups: ["rocksdb state+db"],
  },
  {
    name: "a database behind a symlink is swapped with what the symlink leads to",
    sources: [rocksdbPolicy("db", "/var/lib/private/hs/db"), files("state", "/var/lib/hs")],
    links: { "/var/lib/hs": "/var/lib/private/hs" },
    groups: ["rocksdb state+db"],
  },
  {
    name: "one alone brings what lies in it behind a symlink",
    sources: [files("media", "/var/lib/private/hs/media"), files("state", "/var/lib/hs")],
    links: { "/var/lib/hs": "/var/lib/private/hs" },
    only: ["state"],
    groups: ["files state+media"],
    notes: ["media lies in state and comes back with it"],
  },
  {
    name: "what begins the same is not inside",
    sources: [files("a", "/var/lib/app"), files("b", "/var/lib/app-two"), files("c", "/var/lib/app.d")],
    groups: ["files a", "files b", "files c"],
  },
  {
    name: "three in each other, whatever their order, are one; so are two over a third",
    sources: [
      files("in", "/a/b/c"),
      files("out", "/a"),
      files("mid", "/a/b"),
      files("x", "/p", "/q/r"),
      files("y", "/q"),
      files("z", "/p/s"),
    ],
    groups: ["files out+mid+in", "files x+y+z"],
  },
  {
    name: "the same path twice is one",
    sources: [files("a", "/srv"), files("b", "/srv")],
    groups: ["files a+b"],
  },
  {
    name: "/ holds everything",
    sources: [files("root", "/"), files("a", "/srv")],
    groups: ["files root+a"],
  },
  {
    name: "one alone brings what lies in it, and says so",
    sources: SOURCES,
    only: ["homeserver-db"],
    groups: ["rocksdb homeserver-db+media"],
    notes: ["media lies in homeserver-db and comes back with it"],
  },
  {
    name: "what lies inside may come alone",
    sources: SOURCES,
    only: ["media"],
    groups: ["files media"],
  },
  {
    name: "what a machine needs before its first boot is not swapped on a running one",
    sources: [files("host-keys", "/etc/ssh/key"), files("a", "/a")],
    bootstrap: ["host-keys"],
    groups: ["files a"],
    leftOut: [
      "host-keys: a machine needs it before its first boot: restore --only bootstrap. It is not swapped on a running machine, which this restore depends on",
    ],
  },
  {
    name: "what a command printed has no place",
    sources: [
      { name: "flake", kind: "command", argv: ["git"], restore_hint: "git clone FILE" },
      files("a", "/a"),
    ],
    groups: ["files a"],
    leftOut: [
      "flake: the output of a command has no place on the host: restore --to DIR --only it, then git clone FILE",
    ],
  },
];
for (const row of table) {
  test(row.name, () => {
    const { only = [], bootstrap = [], links = {} } = row;
    const leadsTo = (path: string) => [links[path] ?? path];
    const grouped = groupSources(row.sources, recordsOf(row.sources), only, bootstrap, leadsTo);
    assert.deepEqual(
      grouped.groups.map((group) => `${group.step} ${namesOf(group).join("+")}`),
      row.groups,
    );
    assert.deepEqual(
      grouped.leftOut.map(({ source, why }) => `${source}: ${why}`),
      row.leftOut ?? [],
    );
    assert.deepEqual(grouped.notes, row.notes ?? []);
  });
}

test("a source that failed that day, is unknown now or became another kind is left out with the reason", () => {
  const { manifest: _manifest, list: _list, ...failed } = recordOf("a", "files");
  const error = { code: "source/failed", message: "/a does not exist" };
  const snapshot = {
    sources: [
      { ...failed, outcome: "failed" as const, error },
      recordOf("gone", "files"),
      recordOf("b", "files"),
    ],
  };
  const { groups, leftOut } = groupSources([files("a", "/a"), rocksdbPolicy("b", "/b")], snapshot, [], []);
  assert.deepEqual(groups, []);
  assert.deepEqual(
    leftOut.map(({ source, why }) => `${source}: ${why}`),
    [
      "a: the snapshot holds nothing of it: /a does not exist",
      "gone: the policy of that day does not say where it belongs: restore --to DIR --only it",
      "b: it is of kind files in the snapshot and rocksdb in the policy",
    ],
  );
});

function factsOf(more: Partial<PlanFacts> = {}): PlanFacts {
  const sources = [
    rocksdbPolicy("hs", "/var/lib/hs/db"),
    files("media", "/var/lib/hs/db/media"),
    postgresPolicy("bridge", "slack"),
  ];
  const { groups } = groupSources(sources, recordsOf(sources), [], []);
  return {
    run: "20261124T003638-a1b2c3",
    restore: RESTORE,
    groups,
    host: "root@new",
    oldAddresses: ["old.example.org"],
    steps: [],
    realPath: (path) => path.replace("/var/lib/hs", "/var/lib/private/hs"),
    rates: DEFAULT_RATES,
    ...more,
  };
}

test("the plan of a small server, word for word", () => {
  const lines = planSteps(factsOf()).flatMap(({ number, id, actions, question, bytes, expectedSeconds }) => [
    `${number} ${id}, ${bytes} bytes, ${expectedSeconds} s${question === undefined ? "" : `: ${question}`}`,
    ...actions.map(({ what, command = "" }) => `  ${what}${command === "" ? "" : ` $ ${command}`}`),
  ]);
  assert.deepEqual(lines, [
    "1 fence, 0 bytes, 10 s",
    "  look whether old.example.org still answers",
    "  a person says that no other machine runs these services",
    "2 preflight, 0 bytes, 7 s",
    "  look at root@new: gate, units, users, space, clock, versions; change nothing",
    "3 stop, 0 bytes, 7 s: stop hs.service, bridge.service on root@new?",
    "  close the gate $ touch /var/lib/drops/restore-in-progress",
    "  stop bridge.service if it is active $ systemctl stop bridge.service",
    "  stop hs.service if it is active $ systemctl stop hs.service",
    "4 rocksdb, 2097152 bytes, 3 s: replace hs, media on root@new?",
    "  bring hs and media to /var/lib/private/hs/.drops-restore-20261124T003638-a1b2c3/new-hs-1, verify it, write it to disk",
    "  swap /var/lib/private/hs/db $ mv /var/lib/private/hs/db /var/lib/private/hs/.drops-restore-20261124T003638-a1b2c3/old-hs-1 && mv /var/lib/private/hs/.drops-restore-20261124T003638-a1b2c3/new-hs-1 /var/lib/private/hs/db",
    "5 postgres, 1048576 bytes, 3 s: replace bridge on root@new?",
    "  make the roles that are missing, and an empty database with the recorded encoding and locale",
    "  load bridge $ pg_restore -d slack_drops_a1b2c3",
    "  compare every count and digest with the snapshot",
    '  swap the databases in one transaction $ BEGIN; ALTER DATABASE "slack" RENAME TO "slack_before_a1b2c3"; ALTER DATABASE "slack_drops_a1b2c3" RENAME TO "slack"; COMMIT',
    "7 start, 0 bytes, 11 s: start hs.service, bridge.service with the restored data?",
    "  open the gate $ rm /var/lib/drops/restore-in-progress",
    "  start hs.service, and wait until it was active for 2s, for 5m at most $ systemctl start hs.service",
    "  start bridge.service, and wait until it was active for 2s, for 5m at most $ systemctl start bridge.service",
    "8 login, 0 bytes, 0 s",
    "  in the chat with the bridge's bot: list-logins says whether everyone is connected",
    "  only if somebody is not: login app",
    "9 messages, 0 bytes, 0 s",
    "  ask: a message arrives",
    "  then, when all is well $ drops restore --finish",
  ]);
});

test("without units nothing is stopped, and the plan says so", () => {
  const plan = planSteps(factsOf({ restore: Restore.parse({}) }));
  const of = (id: string) => plan.find((step) => step.id === id);
  assert.match(of("stop")?.actions[0]?.what ?? "", /names no units: nothing is stopped/);
  assert.match(of("stop")?.question ?? "", /stopped by hand\?/);
  assert.equal(of("start")?.question, undefined);
  assert.equal(of("login"), undefined);
});

const choices: readonly { steps: PlanFacts["steps"]; planned: readonly string[] }[] = [
  { steps: ["stop"], planned: ["fence", "preflight", "stop"] },
  { steps: ["start", "rocksdb"], planned: ["fence", "preflight", "rocksdb", "start"] },
  { steps: ["messages"], planned: ["messages"] },
  { steps: ["fence"], planned: ["fence"] },
  { steps: ["files"], planned: ["fence", "preflight"] },
];
for (const { steps, planned } of choices) {
  test(`of --steps ${steps.join(",")} the fence and preflight are never left out before a change`, () => {
    assert.deepEqual(
      planSteps(factsOf({ steps })).map(({ id }) => id),
      planned,
    );
  });
}

test("rates are those of earlier runs, once these brought enough to tell", () => {
  const line = (kind: string, bytes: number, seconds: number, n: number) => ({
    n,
    at: "2026-11-24T00:00:00.000Z",
    event: "staged",
    kind,
    bytes,
    seconds,
  });
  assert.deepEqual(measuredRates([line("paths", 1000, 5, 0)]), DEFAULT_RATES);
  const lines = [line("paths", 30e6, 2, 0), line("paths", 10e6, 2, 1), line("database", 40e6, 4, 2)];
  assert.deepEqual(measuredRates(lines), { paths: 10e6, database: 10e6 });
  assert.deepEqual(measuredRates([{ ...line("paths", 30e6, 2, 0), bytes: "many" }]), DEFAULT_RATES);
});

test("the steps are numbered from 0, each says what to expect and what if not, and none of them is a point of no return", () => {
  assert.deepEqual(
    STEPS.map(({ number }) => number),
    STEPS.map((_, index) => index),
  );
  for (const { does, expected, otherwise, title, noReturn } of STEPS) {
    for (const text of [does, expected, otherwise, title])
      assert.ok(text.length > 10 && !text.endsWith("."), text);
    assert.equal(noReturn, undefined);
  }
  assert.equal(stepOf("start").number, 7);
});
