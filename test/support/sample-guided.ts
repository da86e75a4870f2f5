import type * as Out from "../../src/guided/report.ts";

// Reports of restores onto a host, with something awkward in each.
const RUN = "20261124T003638-a1b2c3";
const snapshot = {
  id: "5f1e0c3ab2d49788",
  state: "complete",
  started: "2026-11-20T01:30:00.000Z",
  ended: "2026-11-20T01:32:05.000Z",
  signature: "trusted",
} as const;
const place = { policy: "ops", host: "root@new.example.org" } as const;

const step = { checks: [], answers: [], notes: [] };

export const planned: Out.GuidedReport = {
  ...place,
  store: "/srv/backups",
  zone: "Europe/Berlin",
  run: RUN,
  dryRun: true,
  snapshot,
  ageSeconds: 345_600,
  lost: {
    since: snapshot.ended,
    snapshots: [
      {
        id: "aaaaaaaaaaaaaaaa",
        state: "complete",
        ended: "2026-11-21T01:31:00.000Z",
        sources: [{ name: "homeserver-db", bytes: 5_368_709_120, readBytes: 104_857_600 }],
      },
    ],
  },
  steps: [
    {
      ...step,
      id: "stop",
      number: 3,
      title: "gate and stop the services",
      outcome: "planned",
      actions: [
        { what: "close the gate", command: "touch /var/lib/drops/restore-in-progress" },
        { what: "stop hs.service if it is active", command: "systemctl stop hs.service" },
      ],
      bytes: 0,
      expectedSeconds: 4,
    },
    {
      ...step,
      id: "rocksdb",
      number: 4,
      title: "restore RocksDB and the files in its directory",
      outcome: "planned",
      actions: [{ what: "swap /var/lib/hs/\u001b[2Jdb" }],
      bytes: 5_368_709_120,
      expectedSeconds: 92,
    },
  ],
  leftOut: [{ source: "host-keys", why: "a machine needs it before its first boot" }],
  bytes: 5_368_709_120,
  expectedSeconds: 96,
  rtoSeconds: 7200,
  notes: [],
  next: [],
};

export const restored: Out.GuidedReport = {
  ...planned,
  dryRun: false,
  steps: planned.steps.map((each, index) => ({
    ...each,
    outcome: index === 0 ? ("passed" as const) : ("done" as const),
    seconds: each.expectedSeconds + 1,
    notes: index === 0 ? [] : ["no: a message arrives (\u001b[31mnothing)"],
  })),
  secondsToStarted: 130,
  next: ["when all is well: drops restore --finish"],
};

export const finished: Out.FinishReport = {
  ...place,
  run: RUN,
  removed: ["/var/lib/hs/db", "database bridge"],
  notes: [],
};

export const rolledBack: Out.RollbackReport = {
  ...place,
  run: RUN,
  putBack: ["database bridge", "/var/lib/hs/db"],
  started: ["hs.service"],
  notReady: ["bridge.service: exit status 16"],
  notes: [],
};

export const bootstrapped: Out.BootstrapReport = {
  policy: "ops",
  store: "/srv/backups",
  zone: "Europe/Berlin",
  snapshot,
  to: "/extra",
  files: [
    { path: "/etc/ssh/ssh_host_ed25519_key", mode: "0600", secret: true },
    { path: "/var/lib/drops/restore-in-progress", mode: "0644", secret: false },
  ],
  flake: "/extra-flake",
  revision: "0123456789012345678901234567890123456789",
  choices: [
    {
      title: "the system of that day",
      commands: ["nixos-anywhere --extra-files /extra"],
      notes: ["NixOS 25.11"],
    },
  ],
  notes: [],
};
