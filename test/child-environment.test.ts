import assert from "node:assert/strict";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Sandbox, sandboxUser } from "../src/drill/sandbox.ts";
import type { Host } from "../src/host/host.ts";
import { openLocalHost } from "../src/host/local.ts";
import { childEnvironment } from "../src/host/start-process.ts";
import { openChannels } from "../src/notify/open-channels.ts";
import { Notify } from "../src/policy/notify-schema.ts";
import { freezeCommand } from "../src/source/command.ts";
import { PostgresClient } from "../src/source/postgres/client.ts";
import { alert } from "./contracts/channel.ts";
import { standIn } from "./support/alert-receivers.ts";
import { collectingSink } from "./support/collecting-sink.ts";
import { captureContext } from "./support/postgres-captures.ts";

const how = { signal: AbortSignal.timeout(3_600_000) };
const SECRET = "s3cr3t-of-the-starter";
const HIDDEN = [
  ...["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_CA_BUNDLE"],
  ...["DROPS_POLICY", "DROPS_TOKEN", "PGPASSWORD", "PGPASSFILE", "PGSERVICE", "PGHOST"],
  ...["SSH_AUTH_SOCK", "CREDENTIALS_DIRECTORY", "INVOCATION_ID", "AGE_PASSPHRASE", "RESTIC_PASSWORD"],
  ...["HTTPS_PROXY", "NODE_EXTRA_CA_CERTS", "LD_LIBRARY_PATH", "BASH_ENV", "lc_all"],
];
/** What a process of drops may have of its own beside: names without anything of the starter's. */
const OWN = /^(PATH|HOME|USER|LOGNAME|TMPDIR|TZ|LANG|LC_[A-Z]+|PWD|OLDPWD|SHLVL|_|SHELL|MAIL)$/;

const scratch = await mkdtemp(join(tmpdir(), "drops-environment-"));
after(() => rm(scratch, { recursive: true }));
const isRoot = process.getuid?.() === 0;
let host: Host;
before(async () => {
  await chmod(scratch, 0o711);
  for (const name of HIDDEN) process.env[name] = SECRET;
  host = await openLocalHost();
});
after(async () => {
  for (const name of HIDDEN) delete process.env[name];
  await host[Symbol.asyncDispose]();
});

const fakeClient = async (run_as?: string): Promise<PostgresClient> => {
  const psql = join(scratch, "psql");
  await writeFile(psql, "#!/bin/sh\nexec env\n");
  await chmod(psql, 0o755);
  return new PostgresClient(host, { database: "d", bin: scratch, run_as: run_as ?? host.user.name });
};
const commandSource = async (run_as?: string): Promise<string> => {
  const sink = collectingSink();
  const source = { name: "c", kind: "command", argv: ["env"], ...(run_as === undefined ? {} : { run_as }) };
  await using frozen = await freezeCommand(source as never, captureContext(host, how));
  await frozen.ship(sink, how);
  return sink.bytes("output").toString();
};
const channel = async (policy: (program: string) => object): Promise<string> => {
  const program = await standIn(await mkdtemp(join(scratch, "d-")), "takes");
  const { channels } = Notify.parse({ channels: [{ name: "it", ...policy(program.program) }] });
  await openChannels(channels, { machine: "m" })[0]?.deliver(alert, how);
  return program.calls()[0]?.env ?? "";
};
const PG = ["PGDATABASE", "PGAPPNAME", "PGCONNECT_TIMEOUT", "PGCLIENTENCODING"];

/** `has` beside OWN: what drops itself means it to have. */
const kinds: readonly { readonly name: string; readonly has?: readonly string[]; env(): Promise<string> }[] =
  [
    { name: "a command", env: async () => String((await host.run(["env"], how)).stdout) },
    {
      name: "a command with settings",
      has: ["GIVEN"],
      env: async () => String((await host.run(["env"], { ...how, env: { GIVEN: "1" } })).stdout),
    },
    { name: "a command source", env: () => commandSource() },
    {
      name: "psql",
      has: PG,
      env: async () => String((await (await fakeClient()).run("psql", [], { ...how, what: "x" })).stdout),
    },
    {
      name: "a check in the drill's sandbox",
      env: async () => {
        const user = await sandboxUser(host, "nobody", how);
        const home = await mkdtemp(join(scratch, "h-"));
        await chmod(home, 0o777);
        await using box = await Sandbox.open(host, { ...how, user, path: process.env["PATH"], home });
        return String((await box.run(["env"], how)).stdout);
      },
    },
    {
      name: "a program of an alert",
      has: [
        "EVENT",
        "REMINDER",
        "ID",
        "TITLE",
        "MESSAGE",
        "POLICY_NAME",
        "VERB",
        "MACHINE",
        "AT",
        "EXIT_CODE",
      ]
        .concat("FAILURE")
        .map((name) => `DROPS_${name}`),
      env: () => channel((program) => ({ kind: "command", argv: [program] })),
    },
    {
      name: "sendmail",
      env: () => channel((program) => ({ kind: "mail", to: ["a@example.org"], sendmail: [program] })),
    },
    ...(isRoot
      ? [
          {
            name: "a command as another user",
            env: async () => String((await host.run(["env"], { ...how, as: "nobody" })).stdout),
          },
          { name: "a command source as another user", env: () => commandSource("nobody") },
          {
            name: "psql as another user",
            has: PG,
            env: async () =>
              String((await (await fakeClient("nobody")).run("psql", [], { ...how, what: "x" })).stdout),
          },
        ]
      : []),
  ];

for (const { name, has = [], env } of kinds) {
  test(`${name} gets nothing of the starter's environment but what it needs`, async () => {
    const text = await env();
    assert.match(text, /^PATH=./m);
    assert.doesNotMatch(text, new RegExp(SECRET));
    const names = text.split("\n").flatMap((line) => /^([A-Za-z_]\w*)=/.exec(line)?.[1] ?? []);
    assert.deepEqual(
      names.filter((found) => !OWN.test(found) && !has.includes(found)),
      [],
    );
  });
}

test("programs, language and time are handed on", () => {
  const needed = {
    PATH: "/bin",
    HOME: "/root",
    LANG: "C",
    LC_ALL: "C.UTF-8",
    TZ: "UTC",
    LOCALE_ARCHIVE: "/l",
  };
  assert.deepEqual(childEnvironment({ ...needed, AWS_SECRET_ACCESS_KEY: SECRET, TMPDIR: undefined }), needed);
});
