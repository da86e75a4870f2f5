import assert from "node:assert/strict";
import { test } from "node:test";
import { asUser } from "../src/host/as-user.ts";

const root = { name: "root", uid: 0 };
const me = { name: "me", uid: 1000 };

const table: readonly { name: string; own: typeof root; wanted: string; home?: string; argv: string }[] = [
  { name: "the same user is unchanged", own: me, wanted: "me", argv: "pg_dump x" },
  {
    name: "root asking for root is unchanged",
    own: { name: "toor", uid: 0 },
    wanted: "root",
    argv: "pg_dump x",
  },
  {
    name: "root needs no sudo",
    own: root,
    wanted: "postgres",
    home: "/var/lib/postgresql",
    argv: "setpriv --reuid postgres --regid 26 --init-groups -- env HOME=/var/lib/postgresql USER=postgres LOGNAME=postgres pg_dump x",
  },
  {
    name: "others need sudo, which never asks",
    own: me,
    wanted: "postgres",
    argv: "sudo -n -u postgres -- pg_dump x",
  },
  { name: "a user asks for root", own: me, wanted: "root", argv: "sudo -n -u root -- pg_dump x" },
];

for (const row of table) {
  test(row.name, () => {
    const argv = asUser(["pg_dump", "x"], { name: row.wanted, gid: 26, home: row.home }, row.own);
    assert.equal(argv.join(" "), row.argv);
  });
}
