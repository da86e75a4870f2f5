import assert from "node:assert/strict";
import { readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { OUTPUTS } from "../../src/cli/outputs.ts";
import type { DoctorReport } from "../../src/doctor/report.ts";
import type { StatusReport } from "../../src/status/report.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { openSite } from "../support/site.ts";
import { startVps } from "../support/vps.ts";

// What lies on a server and in no source, asked of a real systemd and of a PostgreSQL that the policy does not name.

const stack = new AsyncDisposableStack();
after(() => stack.disposeAsync());
const vps = stack.use(await startVps());
await vps.exec(`set -e
unit() { # NAME SETTINGS
  printf '[Service]\\nType=exec\\nExecStart=/bin/sleep infinity\\nStateDirectory=%s\\n%s\\n' "$1" "$2" >"/etc/systemd/system/$1.service"
}
mkdir -p /srv/linked && ln -s /srv/linked /var/lib/linked
printf '[Service]\\nType=exec\\nExecStart=/bin/sleep infinity\\nWorkingDirectory=/var/lib/linked\\n' >/etc/systemd/system/linked.service
unit named; unit dynamic DynamicUser=yes; unit idle; unit named-privately DynamicUser=yes
printf '[Service]\\nType=exec\\nExecStart=/bin/sh -c "exec sleep infinity >>/var/lib/written/log"\\n' >/etc/systemd/system/writer.service
mkdir /var/lib/written
systemctl daemon-reload && systemctl start named linked dynamic named-privately writer
head -c 50000 /dev/urandom >/var/lib/written/data
for name in named linked dynamic named-privately; do head -c 50000 /dev/urandom >"/var/lib/$name/data"; done
mkdir -p /var/lib/idle /var/lib/big /var/lib/media/sub /var/lib/mautrix /srv/flake /etc/drops
head -c 70m /dev/urandom >/var/lib/big/data
head -c 70m /dev/urandom >/var/lib/media/sub/data
head -c 1m /dev/urandom >/var/lib/mautrix/data
printf 'creation_rules:\\n  - { path_regex: secrets.yaml, age: age1host }\\n' >/srv/flake/.sops.yaml
`);
const scratch = stack.use(await scratchDirectory());
const { address, port, user, keyFile, hostKey } = vps.ssh;
const host = JSON.stringify({ ssh: { address, port, user, key_file: keyFile, host_key: hostKey } });
const files = (name: string, ...paths: string[]) =>
  `  - { name: ${name}, kind: files, paths: [${paths.join(", ")}] }\n`;
const site = stack.use(
  await openSite({ host, sources: files("some", "/var/lib/named-privately", "/var/lib/media/sub") }),
);
const safe = join(scratch.path, "recovery-identity.txt");
await rename(site.identity, safe);

async function doctor(...only: readonly string[]): Promise<DoctorReport> {
  const groups = only.flatMap((group) => ["--only", group]);
  const { stdout } = await site.drops("doctor", "--json", ...groups);
  return OUTPUTS.doctor.strict().parse(JSON.parse(stdout));
}

const told = ({ findings }: DoctorReport, check: string) =>
  findings.filter((finding) => finding.check === check).map(({ result, what }) => `${result}: ${what}`);

test("directories of running units, big ones, parts of one; what is covered by where its symlink leads is not named", async () => {
  const named = told(await doctor("coverage"), "directories").sort();
  assert.deepEqual(
    named.map((line) => line.replace(/\d+(\.\d+)? (KiB|MiB)/, "SIZE")),
    [
      "warn: /srv/linked (SIZE, the state of linked.service, which runs) is in no source",
      "warn: /var/lib/big (SIZE) is in no source",
      "warn: /var/lib/named (SIZE, the state of named.service, which runs) is in no source",
      "warn: /var/lib/private/dynamic (SIZE, the state of dynamic.service, which runs) is in no source",
      "warn: /var/lib/written (SIZE, the state of writer.service, which runs) is in no source",
      "warn: only a part of /var/lib/media (SIZE) is in a source: /var/lib/media/sub",
    ],
  );
});

test("a PostgreSQL that no source names: its databases are, and one that runs and cannot be asked is not well", async () => {
  await vps.exec(
    "systemctl start postgresql && cd / && setpriv --reuid postgres --regid postgres --init-groups createdb forgejo",
  );
  assert.match(
    told(await doctor("coverage"), "databases").join("\n"),
    /^warn: the database forgejo \(\S+ MiB\) is in no source$/,
  );
  await vps.exec(
    'mv /usr/bin/psql /usr/bin/psql.away; for f in /usr/lib/postgresql/*/bin/psql; do mv "$f" "$f.away"; done',
  );
  assert.match(
    told(await doctor("coverage"), "databases").join("\n"),
    /^unable: a PostgreSQL runs on the host \(port 5432\); what is in it could not be asked: .*psql is not installed there/,
  );
});

test("units of the policy: each `ready` is tried on the server that runs; what is not so is named, with what was found", async () => {
  await vps.exec(`set -e
unit() { printf '[Service]\\nType=%s\\nExecStart=%s\\n%s\\n' "$2" "$3" "$4" >"/etc/systemd/system/$1.service"; }
cat >/usr/local/bin/web <<'END'
use IO::Socket::INET;
my $here = IO::Socket::INET->new(LocalAddr => "127.0.0.1:8031", Listen => 5, ReuseAddr => 1) or die;
while (my $asking = $here->accept) {
  my $line = <$asking>;
  while (defined(my $header = <$asking>)) { last if $header =~ /^\\r?\\n/ }
  print $asking "HTTP/1.0 ", $line =~ m{^GET / } ? "200 OK" : "404 Not Found", "\\r\\n\\r\\n";
}
END
unit web exec '/usr/bin/perl /usr/local/bin/web'
unit once oneshot /bin/true; unit down exec '/bin/sleep infinity'; unit wrong exec '/bin/sleep infinity'
unit looping exec '/bin/sleep 1' "Restart=always
RestartSec=100ms"
systemctl daemon-reload && systemctl start web wrong once looping
until bash -c 'exec 3<>/dev/tcp/127.0.0.1/8031'; do sleep 0.1; done 2>/dev/null
until [ "$(systemctl show -p NRestarts --value looping)" -gt 0 ]; do sleep 0.1; done`);
  const rule = (unit: string, ready: object) => ({ unit: `${unit}.service`, ready });
  const units = [
    rule("web", { http: "http://127.0.0.1:8031/", command: ["true"] }),
    rule("wrong", { http: "http://127.0.0.1:8031/not-there", command: ["test", "-e", "/not-there"] }),
    rule("writer", { http: "http://127.0.0.1:8032/" }),
    rule("once", { active_for: "20s" }),
    rule("named", { active_for: "20s" }),
    rule("down", { command: ["true"] }),
    rule("mautrix-slakc", { active_for: "20s" }),
    rule("looping", { active_for: "20s" }),
  ];
  const more = `restore: ${JSON.stringify({ units })}\n`;
  await site.policy({ more });
  try {
    const said = told(await doctor("host"), "units").map((line) =>
      line
        .replace(/ \(curl: [^)]*\)/, "")
        .replace(/restarted \d+ times, the last time \d+ s ago|(?:de)?activating \([a-z-]+\)/, "AGAIN"),
    );
    const bad = (unit: string, why: string) =>
      `warn: ${unit}.service is not ready as restore.units tells: ${why}`;
    assert.deepEqual(
      said.map((line) => line.replace("it was AGAIN (active_for 20s)", "it is AGAIN")),
      [
        bad(
          "wrong",
          "it runs, but http://127.0.0.1:8031/not-there answers 404; test -e /not-there ends with 1",
        ),
        bad("writer", "it runs, but http://127.0.0.1:8032/ does not answer"),
        bad("down", "it is inactive (dead)"),
        bad("mautrix-slakc", "systemd says not-found of it"),
        bad("looping", "it is AGAIN"),
        "ok: ready as restore.units tells: web.service: http://127.0.0.1:8031/ answers 200: true ends with 0, once.service, named.service",
      ],
    );
    assert.deepEqual(told(await doctor("keys"), "units"), [], "not asked for");
  } finally {
    await site.policy({});
  }
});

test("a disk of the server that is nearly full: told by doctor, by the backup and by status, until there is room", async () => {
  await vps.exec(
    "mkdir /srv/small && mount -t tmpfs -o size=20m tmpfs /srv/small && head -c 19m /dev/zero >/srv/small/data",
  );
  await site.policy({ sources: files("small", "/srv/small") });
  const full = "a disk is nearly full: /srv/small";
  const backup = async () => {
    const { exit, stdout } = await site.drops("backup", "--json");
    assert.equal(exit, 0);
    return (JSON.parse(stdout) as { notes: string[] }).notes;
  };
  const concerns = async () => {
    const { concerns: found } = JSON.parse((await site.drops("status", "--json")).stdout) as StatusReport;
    return found.filter(({ kind }) => kind === "space").map(({ what }) => what);
  };
  try {
    assert.deepEqual(told(await doctor("host"), "space"), [`warn: ${full}: 5 % free, 1.0 MiB`]);
    assert.deepEqual(await backup(), [`${full}: 5 % free, 1.0 MiB`]);
    assert.deepEqual(await concerns(), [`${full} of the host: 5 % free, 1.0 MiB`]);
    assert.deepEqual(
      told(await doctor("nights"), "status").filter((line) => line.includes(full)),
      [],
      "told once",
    );
    await vps.exec("truncate --size=10M /srv/small/data");
    assert.deepEqual(told(await doctor("host"), "space"), ["ok: free: /srv/small: 50 % free, 10.0 MiB"]);
    assert.deepEqual([await backup(), await concerns()], [[], []]);
  } finally {
    await site.policy({});
    await vps.exec("umount /srv/small");
  }
});

test("the host's own: a recovery identity in /etc/drops, and a sops rule that only the host's key opens", async () => {
  const before = await doctor("host");
  assert.deepEqual(told(before, "stray-identity"), ["ok: no recovery identity lies where keys usually do"]);
  assert.match(
    told(before, "sops").join("\n"),
    /^warn: the rule for secrets\.yaml in \/srv\/flake\/\.sops\.yaml has one recipient/,
  );
  await vps.exec("umask 077 && cat >/etc/drops/kept-for-later.txt", { input: await readFile(safe) });
  const after = await doctor("host");
  assert.deepEqual(told(after, "stray-identity"), [
    "fail: THE RECOVERY IDENTITY LIES ON THE HOST: /etc/drops/kept-for-later.txt opens every backup",
  ]);
  assert.ok(!JSON.stringify(after).includes("AGE-SECRET-KEY-"));
});

test("a clock of the host that is an hour off", async () => {
  await vps.exec(
    'cp /usr/bin/date /usr/bin/date.kept; printf \'#!/bin/sh\\nexec date.kept -d "1 hour ago" "$@"\\n\' >/usr/bin/date',
  );
  assert.deepEqual(told(await doctor("host"), "host-clock"), [
    "fail: this machine's clock is 60 min ahead of the host's; 15 min are allowed",
  ]);
});

test("nothing of doctor's stays on the host", async () => {
  assert.equal(
    await vps.exec(
      "find / -xdev -name '*drops*' -not -path '/proc/*' -newer /etc/systemd/system/named.service",
    ),
    "/etc/drops",
  );
});
