import type { DoctorReport } from "../../src/doctor/report.ts";

/** One finding of every kind. */
export const doctor: DoctorReport = {
  policy: "ops",
  origin: "/etc/drops/ops.yaml",
  store: "s3://bucket/drops",
  host: "root@server",
  at: "2026-11-24T06:00:00.000Z",
  well: false,
  counts: { ok: 1, warn: 1, unable: 1, fail: 1 },
  findings: [
    {
      group: "keys",
      check: "recipients",
      result: "ok",
      what: "everything is sealed to 1 recovery recipient (X25519)",
      why: "everything is sealed to them: what is wrong here, nobody ever opens",
    },
    {
      group: "sources",
      check: "bridge-db",
      result: "fail",
      what: "psql of bridge on root@server failed (exit 2): \u001b[2Jconnection refused",
      why: "what cannot be dumped tonight is not in tonight's snapshot",
      fix: "check that it runs: systemctl status postgresql",
    },
    {
      group: "coverage",
      check: "databases",
      result: "warn",
      what: "the database forgejo (42 MiB) is in no source",
      why: "a database that is in no source is gone with the server; its files alone are worth nothing",
      fix: "add to the policy's sources: { name: …-db, kind: postgres, database: forgejo }",
    },
    {
      group: "store",
      check: "semantics",
      result: "unable",
      what: "semantics could not be looked at: the store was not reached",
      why: "a snapshot is only as safe as the store's word that an object is there, whole, and only once",
      fix: "correct the problems of the store first",
    },
  ],
  destroy: {
    answer: "no",
    found: ["overwriting is possible, deleting is refused, removing versions is refused"],
  },
  recorded: "ops/doctor/20261124T060000Z-0123456789abcdef.json",
  left: [`ops/lists/${"a".repeat(64)}`],
};
