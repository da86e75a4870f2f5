import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { judgeNights } from "../../src/doctor/check-nights.ts";
import { policyWriters } from "../../src/doctor/check-policy.ts";
import { judgeClock } from "../../src/doctor/clocks.ts";
import { judgeCoverage } from "../../src/doctor/coverage.ts";
import { judgeDatabases } from "../../src/doctor/databases.ts";
import { judgeLastProof } from "../../src/doctor/doctor.ts";
import { estimate } from "../../src/doctor/estimate.ts";
import { parseLook } from "../../src/doctor/host-look.ts";
import { type HostState, parseHostState } from "../../src/doctor/host-state.ts";
import { judgeSops } from "../../src/doctor/sops.ts";
import { judgeDatabase } from "../../src/doctor/source-postgres.ts";
import { type FrozenFacts, judgeFrozen } from "../../src/doctor/source-rocksdb.ts";
import { judgeStray, parseFound } from "../../src/doctor/stray-identity.ts";
import { judgeHardlinks, judgeTools, wantedTools } from "../../src/doctor/tools.ts";
import { judgeProbe } from "../../src/doctor/try-to-destroy.ts";
import type { Line } from "../../src/doctor/types.ts";
import { parsePolicy } from "../../src/policy/load.ts";
import type { Policy, PostgresPolicy, RocksdbPolicy } from "../../src/policy/schema.ts";
import { isGuarded } from "../../src/source/postgres/versions.ts";
import type { Seen } from "../../src/status/seen.ts";
import { statusOf } from "../../src/status/status.ts";
import { sampleEvidence } from "../support/sample-evidence.ts";
import { failedIn, greenSeen, seenSnapshot } from "../support/sample-status.ts";
import { scratchDirectory } from "../support/scratch.ts";

const MIB = 1024 * 1024;
const ROOT = { name: "root", uid: 0 };
const PLAIN = { name: "backup", uid: 1001 };

/** A finding in one word and its sentence; every one that is not well says what to do. */
const told = (lines: readonly Line[]) =>
  lines.map(({ result, what, fix }) => {
    if (result !== "ok") assert.ok(fix !== undefined && fix.length > 5, what);
    return `${result}: ${what}`;
  });

function policyWith(sources: string): Policy {
  const text = `name: ops
zone: Europe/Berlin
host: local
store: { directory: /unused }
keys: { recovery_recipients_file: /unused, metadata_identity_file: /unused, signing_key_file: /unused }
sources:
${sources}`;
  return parsePolicy(text, "test").policy;
}

test("clocks: two seconds are nothing, a minute is noticed, what the repository does not allow fails", () => {
  const rows: readonly [ahead: number, said: string][] = [
    [0, "ok: this machine's clock agrees with the host's"],
    [-2, "ok: this machine's clock agrees with the host's"],
    [30, "ok: this machine's clock is 30 s ahead of the host's"],
    [-61, "warn: this machine's clock is 61 s behind the host's"],
    [900, "warn: this machine's clock is 15 min ahead of the host's"],
    [901, "fail: this machine's clock is 15 min ahead of the host's; 15 min are allowed"],
    [-3600 * 3, "fail: this machine's clock is 3.0 h behind the host's; 15 min are allowed"],
  ];
  for (const [ahead, said] of rows) assert.deepEqual(told([judgeClock("host", ahead, 900)]), [said]);
});

const TOOLS = policyWith(`  - { name: media, kind: files, paths: [/srv] }
  - { name: db, kind: rocksdb, path: /db }
  - { name: bridge, kind: postgres, database: bridge }
`);

test("tools: what is missing is named with its package and with who wants it", () => {
  const all = [...wantedTools(TOOLS, ROOT).keys()];
  const look = (without: readonly string[], tar = "tar (GNU tar) 1.34") => {
    const there = all.filter((tool) => !without.includes(tool));
    const said: Record<string, string> = { tar, find: "find (GNU findutils) 4.9.0" };
    return parseLook(there.map((tool) => `tool=${tool}=${said[tool] ?? ""}\n`).join(""));
  };
  const judged = (...args: Parameters<typeof look>) => judgeTools(wantedTools(TOOLS, ROOT), look(...args));
  assert.deepEqual(told(judged([])), [
    `ok: GNU find 4.9.0, GNU tar 1.34, ${all.length - 2} other tools are there`,
  ]);
  const [flock] = judged(["flock"]);
  assert.equal(flock?.what, "flock is missing on the host, wanted for db, bridge");
  assert.match(flock?.fix ?? "", /apt-get install util-linux/);
  assert.deepEqual(told(judged([], "bsdtar 3.6.2")), [
    "fail: tar on the host is not GNU's, wanted for media",
  ]);
});

test("tools: root becomes another user by setpriv, others by sudo, and nobody becomes who they are", () => {
  const has = (own: typeof ROOT) =>
    ["setpriv", "sudo"].filter((tool) => wantedTools(TOOLS, own).has(tool)).join();
  assert.equal(has(ROOT), "setpriv");
  assert.equal(has(PLAIN), "sudo");
  assert.equal(has({ name: "postgres", uid: 104 }), "");
});

test("hard links: who may make them", () => {
  const rows: readonly [own: typeof ROOT, hardlinks: string, said: string][] = [
    [ROOT, "hardlinks=1", "ok: fs.protected_hardlinks is on: root may make them to anybody's files"],
    [PLAIN, "hardlinks=1", "ok: fs.protected_hardlinks is on: backup only to files of its own"],
    [PLAIN, "hardlinks=0", "ok: fs.protected_hardlinks is off"],
    [PLAIN, "hardlinks=7", "warn: whether the kernel protects hard links cannot be seen"],
  ];
  for (const [own, text, said] of rows)
    assert.deepEqual(told(judgeHardlinks(TOOLS, own, parseLook(text))), [said]);
});

const DB: RocksdbPolicy = { name: "db", kind: "rocksdb", path: "/db", mode: "hot", min_free: "512MiB" };
const FROZEN: FrozenFacts = {
  database: "/db",
  rocksdb_version: "10.4.2",
  options: { recycle_log_file_num: "0", allow_2pc: "false" },
  tables: 3,
  table_bytes: 100 * MIB,
  logs: 1,
  log_bytes: MIB,
  rejected_attempts: [],
  linking_ms: 12,
};

test("a database that was frozen: what makes that harder, or a long upload dangerous", () => {
  const well = "ok: db: frozen and proven in 12 ms: 3 tables, 1 logs, 100 MiB, RocksDB 10.4.2";
  const rows: readonly [change: Partial<FrozenFacts>, free: number | undefined, warned: RegExp[]][] = [
    [{}, 2000 * MIB, []],
    [{}, undefined, []],
    [{}, 600 * MIB, [/600 MiB are free beside it/]],
    [{ options: { recycle_log_file_num: "4" } }, undefined, [/recycles its logs/]],
    [{ options: { allow_2pc: "true" } }, undefined, [/two-phase commit/]],
    [{ rejected_attempts: [{}, {}] }, undefined, [/took 3 of at most 10 attempts/]],
  ];
  for (const [change, free, warned] of rows) {
    const lines = told(judgeFrozen(DB, { ...FROZEN, ...change }, free));
    assert.equal(lines.at(-1), well);
    assert.equal(lines.length, warned.length + 1, lines.join("\n"));
    for (const [at, said] of warned.entries()) assert.match(lines[at] ?? "", said);
  }
});

test("a database that could be dumped: passwords and room", () => {
  const source = { name: "bridge", run_as: "bridge" } as PostgresPolicy;
  const facts = {
    server: { version: "15.13", version_num: "150013" },
    pg_dump: "15.13",
    role_passwords: true,
    size_bytes: String(20 * MIB),
  };
  const well = "ok: bridge: PostgreSQL 15.13, pg_dump 15.13, 20.0 MiB; its tables can be locked for a dump";
  assert.deepEqual(told(judgeDatabase(source, facts, undefined)), [well]);
  const [passwords, room] = told(
    judgeDatabase(source, { ...facts, role_passwords: false }, "the disk is full"),
  );
  const obstacles = [
    { kind: "event-trigger", names: ["watch"], count: 1 },
    { kind: "of a newer drops", names: [], count: 1 },
    { kind: "foreign-key", names: ["a of s.t", "b of s.t"], count: 12 },
  ];
  assert.deepEqual(told(judgeDatabase(source, { ...facts, obstacles }, undefined)), [
    "warn: bridge: event triggers watch: a restore leaves them out, since only a superuser may make them",
    "warn: bridge: rows break the foreign keys a of s.t, b of s.t and 10 more: a restore brings the rows and cannot make these keys. Correct the rows, or drop the keys",
    well,
  ]);
  assert.match(passwords ?? "", /^warn: bridge: bridge may not read the roles' passwords/);
  assert.match(room ?? "", /^warn: .*its snapshot held for the upload: the disk is full/);
  const old = ["12.19", "13.15", "14.12 (Debian 14.12-1)", "15.7", "16.3", "11.22"];
  const fixed = ["12.20", "14.13", "15.8", "16.10", "17.0", "18.1", "18beta2", "19devel"];
  assert.deepEqual([...old.filter(isGuarded), ...fixed.filter((version) => !isGuarded(version))], []);
  const [server, program] = told(
    judgeDatabase(
      source,
      { ...facts, pg_dump: "15.7", server: { ...facts.server, version: "15.7" } },
      undefined,
    ),
  );
  assert.match(
    server ?? "",
    /^warn: bridge: the server is version 15\.7: the owner of the database can .*CVE-2024-7348/,
  );
  assert.match(program ?? "", /^warn: bridge: pg_dump is version 15\.7: /);
});

const STATE: HostState = { resolved: new Map(), units: [], trees: [], missing: "nothing" };
const ALL_COVERED = "ok: every large directory below /var/lib is in a source";

test("coverage: what is in no source, by unit or by size, symlinks followed", () => {
  const unit = (name: string, state: string) => ({ name, user: "root", state: [`/var/lib/${state}`] });
  const rows: readonly {
    readonly name: string;
    readonly paths: string;
    readonly state: Partial<HostState>;
    readonly said: readonly string[];
  }[] = [
    {
      name: "covered by its own path",
      paths: "/var/lib/forgejo",
      state: {
        units: [unit("forgejo.service", "forgejo")],
        trees: [{ path: "/var/lib/forgejo", bytes: 900 * MIB }],
      },
      said: [ALL_COVERED],
    },
    {
      name: "covered by a path above",
      paths: "/var",
      state: { trees: [{ path: "/var/lib/forgejo", bytes: 900 * MIB }] },
      said: [ALL_COVERED],
    },
    {
      name: "a name that only begins alike covers nothing",
      paths: "/var/lib/forge",
      state: { trees: [{ path: "/var/lib/forgejo", bytes: 900 * MIB }] },
      said: ["warn: /var/lib/forgejo (900 MiB) is in no source"],
    },
    {
      name: "a small directory of a running unit counts",
      paths: "/srv",
      state: {
        units: [unit("bridge.service", "mautrix-slack")],
        trees: [{ path: "/var/lib/mautrix-slack", bytes: 20 * 1024 }],
      },
      said: [
        "warn: /var/lib/mautrix-slack (20.0 KiB, the state of bridge.service, which runs) is in no source",
      ],
    },
    {
      name: "an empty one does not, nor a small one of nobody, nor the system's own",
      paths: "/srv",
      state: {
        units: [unit("a.service", "empty"), unit("systemd-timesyncd.service", "systemd/timesync")],
        trees: [
          { path: "/var/lib/empty", bytes: 4096 },
          { path: "/var/lib/small", bytes: 63 * MIB },
          { path: "/var/lib/apt", bytes: 500 * MIB },
          { path: "/var/lib/postgresql", bytes: 500 * MIB },
        ],
      },
      said: [ALL_COVERED],
    },
    {
      name: "a DynamicUser= service lies in /var/lib/private, and the policy names the symlink",
      paths: "/var/lib/continuwuity",
      state: {
        resolved: new Map([["/var/lib/continuwuity", "/var/lib/private/continuwuity"]]),
        units: [unit("continuwuity.service", "continuwuity")],
        trees: [{ path: "/var/lib/private/continuwuity", bytes: 900 * MIB }],
      },
      said: [ALL_COVERED],
    },
    {
      name: "the same, in no source",
      paths: "/srv",
      state: {
        units: [unit("continuwuity.service", "continuwuity")],
        trees: [{ path: "/var/lib/private/continuwuity", bytes: 900 * MIB }],
      },
      said: [
        "warn: /var/lib/private/continuwuity (900 MiB, the state of continuwuity.service, which runs) is in no source",
      ],
    },
    {
      name: "a part of it",
      paths: "/var/lib/forgejo/repositories",
      state: { trees: [{ path: "/var/lib/forgejo", bytes: 900 * MIB }] },
      said: ["warn: only a part of /var/lib/forgejo (900 MiB) is in a source: /var/lib/forgejo/repositories"],
    },
    {
      name: "what could not be counted is not well",
      paths: "/srv",
      state: { missing: "uncounted" },
      said: [
        "unable: sizes below /var/lib could not be checked in time: something large may be missing here",
      ],
    },
    {
      name: "what another user than root may not look into is told",
      paths: "/srv",
      state: { missing: "unreadable" },
      said: [
        "warn: this user may not look into everything below /var/lib: something large may be missing here",
      ],
    },
  ];
  for (const { name, paths, state, said } of rows) {
    const policy = policyWith(`  - { name: some, kind: files, paths: [${paths}] }\n`);
    const lines = judgeCoverage(policy, { ...STATE, ...state }, ["/var/lib/postgresql"]);
    assert.deepEqual(told(lines), said, name);
  }
  const beside = ["in the directory of db and in no source: /var/lib/db/media (288 MiB)"];
  const lines = judgeCoverage(
    policyWith("  - { name: some, kind: files, paths: [/srv] }\n"),
    STATE,
    [],
    beside,
  );
  assert.deepEqual(told(lines), [`warn: ${beside[0]}`], "what lies with a database is not covered by it");
});

test("what a host says of itself is read field by field, whatever its names hold", () => {
  const text = [
    ...["path", "/a", "/b", "path", "/gone", ""],
    ...[
      "units",
      [
        "Id=a.service\nUser=bridge\nStateDirectory=a b/c\nWorkingDirectory=!/srv/git/one\nReadWritePaths=-/var/lib/d /run/x",
        "Id=d.service\nStateDirectory=\nWorkingDirectory=/\nBindPaths=/data/x:/data:rbind",
        "Id=e.service\nStateDirectory=e\n",
      ].join("\n\n"),
    ],
    ...["open", "d.service", "/var/lib/private/f/db/000004.log", "/var/log/d", "/opt/d/gone (deleted)"],
    ...["open", "nobody.service", "/srv/other/file", "open", "e.service"],
    ...["trees", "12288\t/var/lib/with\ttab\nand line", "constructor", "__proto__", "counted", "0", ""],
  ].join("\0");
  assert.deepEqual(parseHostState(text), {
    resolved: new Map([["/a", "/b"]]),
    units: [
      { name: "a.service", user: "bridge", state: ["/var/lib/a", "/var/lib/b", "/srv/git", "/var/lib/d"] },
      { name: "d.service", user: "root", state: ["/data/x", "/var/lib/f"] },
      { name: "e.service", user: "root", state: ["/var/lib/e"] },
    ],
    trees: [{ path: "/var/lib/with\ttab\nand line", bytes: 12 * 1024 }],
    missing: "nothing",
  });
  assert.deepEqual(parseHostState(""), {
    resolved: new Map(),
    units: undefined,
    trees: [],
    missing: "uncounted",
  });
});

test("databases: those of the server that are in no source; an empty postgres is none", () => {
  const there = [
    { name: "bridge", bytes: 20 * MIB },
    { name: "forgejo", bytes: 42 * MIB },
    { name: "postgres", bytes: 8 * MIB },
  ];
  assert.deepEqual(told(judgeDatabases(there, ["bridge", "forgejo"])), [
    "ok: every database of the server is in a source (2 databases)",
  ]);
  assert.deepEqual(told(judgeDatabases(there, ["bridge"])), [
    "warn: the database forgejo (42.0 MiB) is in no source",
  ]);
  const used = [{ name: "postgres", bytes: 17 * MIB }];
  assert.deepEqual(told(judgeDatabases(used, [])), [
    "warn: the database postgres (17.0 MiB) is in no source",
  ]);
});

test("a recovery identity where it does not belong is shouted about, another one is not", () => {
  const found = parseFound(
    "file=/etc/drops/r.txt\n# public key: age1recovery\nfile=/root/m.txt\n# Public key:  age1other\nfile=/root/x\n",
  );
  assert.deepEqual(told(judgeStray("the host", found, ["age1recovery"])), [
    "fail: THE RECOVERY IDENTITY LIES ON THE HOST: /etc/drops/r.txt opens every backup",
    "warn: /root/x on the host holds an age identity and does not say of which recipient",
  ]);
});

test("sops: a rule with one recipient is warned about", () => {
  const rows: readonly [text: string, said: RegExp | undefined][] = [
    [
      "creation_rules:\n  - { path_regex: a.yaml, age: age1host }\n",
      /the rule for a\.yaml in f has one recipient/,
    ],
    ["creation_rules:\n  - { path_regex: a.yaml, age: 'age1host, age1admin' }\n", undefined],
    ["creation_rules:\n  - key_groups: [{ age: [age1host, age1admin] }]\n", undefined],
    ["creation_rules:\n  - key_groups: [{ age: [age1host] }, { pgp: [ABCD] }]\n", undefined],
    ["creation_rules:\n  - key_groups:\n      - age: [age1host]\n", /a rule in f has one recipient/],
    [
      "keys:\n  - &host age1host\n  - &me age1me\ncreation_rules:\n  - key_groups: [{ age: [*host, *me] }]\n",
      undefined,
    ],
    ["creation_rules: 7\n", /cannot be read as sops rules/],
    ["a: [\n", /cannot be read as sops rules/],
  ];
  for (const [text, said] of rows) {
    const [line, ...more] = told(judgeSops([{ file: "f", text }]));
    assert.deepEqual(more, []);
    if (said) assert.match(line ?? "", new RegExp(`^warn: .*${said.source}`), text);
    else assert.equal(line, "ok: every rule of f has a second key", text);
  }
  assert.deepEqual(told(judgeSops([])), ["ok: no .sops.yaml was seen on the host"]);
});

test("destroying: refused is well, hiding is warned about, possible fails, not known is not well", () => {
  const probe = {
    overwrite: "refused",
    delete: "refused",
    deleteVersion: "none",
    bypass: "none",
    shorten: "none",
    canDestroy: "no",
    found: ["a: this credential cannot put an object there (access denied)"],
    left: ["k"],
  } as const;
  const rows: readonly [change: Partial<Parameters<typeof judgeProbe>[0]>, results: string, proof: string][] =
    [
      [{}, "ok", "no"],
      [{ overwrite: "possible", deleteVersion: "refused" }, "ok warn", "no"],
      [{ overwrite: "possible", canDestroy: "yes" }, "fail", "yes"],
      [{ overwrite: "unknown", canDestroy: "unknown" }, "unable", ""],
    ];
  for (const [change, results, answer] of rows) {
    const { lines, proof, left } = judgeProbe({ ...probe, ...change }, undefined);
    told(lines);
    assert.equal(lines.map(({ result }) => result).join(" "), results);
    assert.equal(proof?.answer ?? "", answer);
    assert.deepEqual(left, ["k"]);
  }
});

test("destroying: just what was tried is said, and how it was locked", () => {
  const tried = { overwrite: "possible", delete: "refused", deleteVersion: "refused" } as const;
  const past = { bypass: "refused", shorten: "refused" } as const;
  const probe = { ...tried, ...past, canDestroy: "no", found: [], left: [] } as const;
  const lock = { mode: "governance", until: new Date() } as const;
  const locked = judgeProbe(probe, lock);
  const said =
    "of objects locked in governance mode, overwriting is possible, deleting is refused, removing versions is refused, " +
    "removing them past a governance lock is refused, removing them after ending the lock sooner is refused";
  assert.equal(told(locked.lines)[0], `ok: this machine cannot destroy what a backup locks: ${said}`);
  assert.deepEqual(locked.proof?.found, [said]);
  const bypassed = judgeProbe({ ...probe, bypass: "possible", shorten: "none", canDestroy: "yes" }, lock);
  assert.match(
    told(bypassed.lines)[0] ?? "",
    /CAN DESTROY .*removing them past a governance lock is possible$/,
  );
});

const FAILING = {
  since: "2026-11-24T03:30:00.000Z",
  code: "killed",
  message: "drops-backup@ops.service ended without telling why: signal, signal KILL",
  hint: "journalctl -u drops-backup@ops.service",
};
const LATE = new Date("2026-11-25T06:00:00.000Z");
const damagedDrill = { file: "d.json", evidence: sampleEvidence({ verdict: "damaged" }), sha256: "" };

const nights: readonly {
  readonly what: string;
  readonly seen: Partial<Seen>;
  readonly told: readonly RegExp[];
}[] = [
  {
    what: "all is well",
    seen: {},
    told: [
      /^ok: 2 restore points, the newest 4 h 31 min old, 26 h are allowed; a drill proved everything 24 h ago$/,
    ],
  },
  {
    what: "never drilled, never verified; the recovery identity is told of elsewhere",
    seen: { evidence: [], verifies: [], proofs: { refused: [] } },
    told: [/^warn: no drill has restored a snapshot yet$/, /^warn: no verify has published a result yet$/],
  },
  {
    what: "before the first backup: nothing has failed",
    seen: { snapshots: [], evidence: [] },
    told: [/^warn: no backup has been made yet$/],
  },
  {
    what: "the first backup failed",
    seen: { snapshots: [], evidence: [], expected: [], failing: FAILING },
    told: [/^fail: nothing can be restored: .*: drops-backup@ops\.service ended without telling why/],
  },
  {
    what: "a run that was killed, and late",
    seen: { now: LATE, failing: FAILING },
    told: [/^fail: the newest restore point is 28 h 31 min old, .*signal KILL$/],
  },
  {
    what: "a run that was killed, and not yet late",
    seen: { failing: FAILING },
    told: [/^warn: drops backup has failed on this machine for 2 h 30 min: .*signal KILL$/],
  },
  {
    what: "objects known missing or damaged",
    seen: {
      snapshots: [
        seenSnapshot("2026-11-23T01:30:00.000Z"),
        seenSnapshot("2026-11-24T01:30:00.000Z", {}, { standing: "damaged" }),
      ],
    },
    told: [
      /^fail: objects are missing or damaged: snapshot [0-9a-f]{16} cannot be restored whole$/,
      /^fail: the newest/,
    ],
  },
  {
    what: "a drill that found damage",
    seen: { evidence: [damagedDrill, ...greenSeen().evidence] },
    told: [/^fail: the last drill ended as damaged: .*files\/restore/],
  },
  {
    what: "a drill overdue",
    seen: { limits: { ...greenSeen().limits, drillEverySeconds: 3600 } },
    told: [/^fail: the last drill that proved everything is 24 h old, one is due every 60 min$/],
  },
  {
    what: "a source that failed and one that is new: the next backup is tried elsewhere",
    seen: {
      expected: ["homeserver-db", "media", "forgejo"],
      snapshots: [
        seenSnapshot("2026-11-23T08:30:00.000Z"),
        seenSnapshot("2026-11-24T01:30:00.000Z", {
          state: "partial",
          sources: [failedIn("media", "is gone")],
        }),
      ],
    },
    told: [/^warn: media failed in the last backup/, /^warn: no snapshot holds forgejo$/],
  },
  {
    what: "the clock, which the store's own check names",
    seen: { skewSeconds: 3600 },
    told: [/^ok: 2 restore/],
  },
];

for (const { what, seen, told: wanted } of nights) {
  test(`nights: ${what}`, () => {
    const lines = judgeNights(statusOf(greenSeen(seen)));
    const said = told(lines);
    assert.equal(said.length, wanted.length, said.join("\n"));
    for (const [at, line] of said.entries()) assert.match(line, wanted[at] ?? /^$/);
  });
}

test("estimate: the slower link decides, and what has no size is named", () => {
  const sizes = new Map([
    ["db", 3600 * MIB],
    ["media", 0],
  ]);
  const rows: readonly [rates: Parameters<typeof estimate>[2], said: RegExp][] = [
    [
      { host: 10 * MIB, store: MIB },
      /^ok: .*reads 3\.5 GiB, without dump: about 60 min at 10\.0 MiB\/s from the host/,
    ],
    [{ store: 100 * MIB }, /^ok: .*about 36 s at 100 MiB\/s to the store/],
    [{}, /^unable: .*how long that takes is not known/],
    [{ store: 1000 }, /about 43\.7 days/],
  ];
  for (const [rates, said] of rows) {
    assert.match(told(estimate(sizes, ["db", "media", "dump"], rates)).join("\n"), said);
  }
});

test("the recovery identity: never shown is warned about, and so is a proof of more than a year ago", () => {
  const policy = { zone: "Europe/Berlin" };
  const world = { now: () => new Date("2026-11-24T06:00:00Z"), loaded: { policy } } as Parameters<
    typeof judgeLastProof
  >[1];
  const at = (iso: string) => ({
    refused: [],
    recovery: { at: iso, recipients: ["age1x"], snapshot: "0123456789abcdef" },
  });
  assert.match(told([judgeLastProof({ refused: [] }, world)]).join(), /^warn: .*never shown/);
  assert.match(told([judgeLastProof(undefined, world)]).join(), /^warn: .*never shown/);
  assert.match(
    told([judgeLastProof(at("2026-11-01T23:30:00.000Z"), world)]).join(),
    /^ok: .* on 2026-11-02$/,
  );
  assert.match(
    told([judgeLastProof(at("2025-11-01T00:00:00.000Z"), world)]).join(),
    /^warn: .*388 days ago$/,
  );
});

test("a policy that another user can write, or swap", async () => {
  await using at = await scratchDirectory();
  const [open, swapped, own] = ["open.yaml", "home/policy.yaml", "own.yaml"].map((name) =>
    join(at.path, name),
  );
  assert.ok(open && swapped && own);
  const script = `chmod 755 .; mkdir home; touch ${open} ${swapped} ${own}; chmod 666 ${open}; chown 12345 home`;
  execFileSync("sh", ["-ec", script], { cwd: at.path });
  assert.deepEqual(await policyWriters(own), []);
  assert.deepEqual(await policyWriters("ops"), []);
  for (const [path, whose] of [
    [open, /^a policy says what is run: \S+\/open\.yaml can be written by other users/],
    [swapped, /^a policy says what is run: \S+\/home belongs to another user/],
  ] as const) {
    const [line, ...others] = await policyWriters(path);
    assert.deepEqual([line?.result, others], ["warn", []]);
    assert.match(line?.what ?? "", whose);
    assert.match(line?.fix ?? "", /chmod go-w .*; or keep the policy in \/etc\/drops$/);
  }
});
