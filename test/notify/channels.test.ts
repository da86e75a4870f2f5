import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { DropsError } from "../../src/lib/errors.ts";
import type { Channel } from "../../src/notify/channel.ts";
import { openChannels } from "../../src/notify/open-channels.ts";
import { AlertBody } from "../../src/notify/report.ts";
import { Notify } from "../../src/policy/notify-schema.ts";
import { alert, channelContract, SECRET } from "../contracts/channel.ts";
import { standIn, startReceiver } from "../support/alert-receivers.ts";

const scratch = mkdtempSync(join(tmpdir(), "drops-channels-"));
after(() => rmSync(scratch, { recursive: true }));
const newDirectory = (): string => mkdtempSync(join(scratch, "d-"));
const WORLD = { machine: "backup-host" };

function channelOf(policy: object): Channel {
  const { channels } = Notify.parse({ channels: [{ name: "it", ...policy }] });
  const [channel] = openChannels(channels, WORLD);
  assert.ok(channel);
  return channel;
}

async function secretFile(text: string, mode = 0o600): Promise<string> {
  const file = join(newDirectory(), "secret");
  await writeFile(file, text, { mode });
  return file;
}

const overHttp: readonly { name: string; policy: (url: string) => Promise<object> }[] = [
  { name: "http ping", policy: async (url) => ({ kind: "ping", url: `${url}/ping/${SECRET}` }) },
  {
    name: "http push of Uptime Kuma",
    policy: async (url) => {
      return {
        kind: "ping",
        style: "uptime-kuma",
        url_file: await secretFile(`${url}/api/push/${SECRET}?status=up\n`),
      };
    },
  },
  {
    name: "http webhook",
    policy: async (url) => {
      const headers_file = await secretFile(`# ours\nAuthorization: Bearer ${SECRET}\n`);
      return { kind: "webhook", url_file: await secretFile(`${url}/hook/${SECRET}\n`), headers_file };
    },
  },
];
for (const { name, policy } of overHttp) {
  channelContract(
    name,
    async (manner) => {
      const receiver = await startReceiver(manner);
      return {
        channel: channelOf(await policy(receiver.url)),
        received: () =>
          receiver.requests.map(({ url, body }) => decodeURIComponent(url.replaceAll("+", " ")) + body),
        isBusy: receiver.isConnected,
        [Symbol.asyncDispose]: () => receiver[Symbol.asyncDispose](),
      };
    },
    { later: true },
  );
}

channelContract(
  "mail",
  async (manner) => {
    const program = await standIn(newDirectory(), manner);
    return {
      channel: channelOf({ kind: "mail", to: ["ops@example.org"], sendmail: [program.program] }),
      received: () => program.calls().map(({ input }) => `${input}\n${bodyOf(input)}`),
      isBusy: program.isRunning,
      async [Symbol.asyncDispose]() {},
    };
  },
  { later: true },
);

channelContract(
  "command",
  async (manner) => {
    const program = await standIn(newDirectory(), manner);
    return {
      channel: channelOf({ kind: "command", argv: [program.program, "first", "$(second)"] }),
      received: () => program.calls().map(({ input }) => input),
      isBusy: program.isRunning,
      async [Symbol.asyncDispose]() {},
    };
  },
  { later: false },
);

function bodyOf(mail: string): string {
  return Buffer.from(mail.slice(mail.indexOf("\n\n")), "base64").toString("utf8");
}

const pings: readonly [event: (typeof alert)["event"], path: string][] = [
  ["start", "/ping/x/start"],
  ["success", "/ping/x"],
  ["partial", "/ping/x/fail"],
  ["failure", "/ping/x/fail"],
  ["test", "/ping/x/log"],
];
for (const [event, path] of pings) {
  test(`a ping of healthchecks on ${event} goes to ${path}, with the log's tail`, async () => {
    await using receiver = await startReceiver("takes");
    const channel = channelOf({ kind: "ping", url: `${receiver.url}/ping/x/` });
    await channel.deliver({ ...alert, event }, { signal: AbortSignal.timeout(300_000) });
    const [request] = receiver.requests;
    assert.deepEqual([request?.method, request?.url.replace(/\/$/, "")], ["POST", path]);
    assert.match(request?.body ?? "", /\n\none\ntwo\n[\s\S]*three\n$/);
  });
}

test("Uptime Kuma knows up and down, and is told of no start", async () => {
  await using receiver = await startReceiver("takes");
  const channel = channelOf({
    kind: "ping",
    style: "uptime-kuma",
    url: `${receiver.url}/api/push/x?status=up&msg=OK&ping=`,
  });
  assert.deepEqual(channel.on, ["success", "partial", "failure"]);
  for (const event of ["success", "partial", "failure", "test"] as const)
    await channel.deliver({ ...alert, event }, { signal: AbortSignal.timeout(300_000) });
  const said = receiver.requests.map(({ method, url }) => {
    const { pathname, searchParams } = new URL(url, receiver.url);
    return [method, pathname, searchParams.get("status"), searchParams.get("ping")];
  });
  assert.deepEqual(said, [
    ["GET", "/api/push/x", "up", "60000"],
    ["GET", "/api/push/x", "down", "60000"],
    ["GET", "/api/push/x", "down", "60000"],
    ["GET", "/api/push/x", "up", "60000"],
  ]);
});

test("the body of a webhook is what its schema says, with the policy's own fields, and ntfy's limit is kept", async () => {
  await using receiver = await startReceiver("takes");
  const channel = channelOf({
    kind: "webhook",
    url: receiver.url,
    fields: { topic: "backups", priority: 5 },
  });
  const log = Array.from({ length: 200 }, (_, n) => `${n} ${'"\\'.repeat(20)}`).join("\n");
  await channel.deliver({ ...alert, log }, { signal: AbortSignal.timeout(300_000) });
  const [request] = receiver.requests;
  assert.equal(request?.headers["content-type"], "application/json");
  const { topic, ...body } = JSON.parse(request?.body ?? "") as Record<string, unknown>;
  const read = AlertBody.strict().parse(body);
  assert.deepEqual([topic, read.priority], ["backups", 5]);
  assert.ok(Buffer.byteLength(request?.body ?? "") <= 7500);
  assert.match(read.log ?? "", /\n199 [^\n]*$/);
});

test("a login in the address, and lines of the headers file, go into headers and nowhere else", async () => {
  await using receiver = await startReceiver("takes");
  const url = receiver.url.replace("//", "//me:pass%20word@");
  const headers_file = await secretFile("X-Priority: 5\nx-token: t: 1\n");
  await channelOf({ kind: "webhook", url_file: await secretFile(url), headers_file }).deliver(alert, {
    signal: AbortSignal.timeout(300_000),
  });
  const [request] = receiver.requests;
  assert.ok(request);
  const { headers, url: path } = request;
  assert.deepEqual(
    [headers.authorization, headers["x-priority"], headers["x-token"], path],
    [`Basic ${Buffer.from("me:pass word").toString("base64")}`, "5", "t: 1", "/"],
  );
});

test("a redirect is not followed: what it is sent is meant for one server", async () => {
  await using other = await startReceiver("takes");
  const server = createServer((_request, response) => {
    response.writeHead(302, { location: `${other.url}/stolen` }).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const channel = channelOf({ kind: "webhook", url: `http://127.0.0.1:${port}/${SECRET}` });
  await assert.rejects(channel.deliver(alert, { signal: AbortSignal.timeout(300_000) }), {
    code: "notify/refused",
    message: `127.0.0.1:${port}: answered 302 Found`,
  });
  server.close();
  assert.deepEqual(other.requests, []);
});

test("a mail is plain, its addresses are arguments, and nothing in an alert adds a header", async () => {
  const program = await standIn(newDirectory(), "takes");
  const channel = channelOf({
    kind: "mail",
    to: ["ops@example.org", "night@example.org"],
    from: "drops@example.org",
    sendmail: [program.program, "-C/etc/mail.cf"],
  });
  const title = "failed\r\nBcc: all@example.org\r\n\r\nüber alles, sehr lang, damit es mehrere Wörter werden";
  await channel.deliver({ ...alert, title }, { signal: AbortSignal.timeout(300_000) });
  const [call] = program.calls();
  assert.deepEqual(call?.argv, [
    "-C/etc/mail.cf",
    "-i",
    "-f",
    "drops@example.org",
    "--",
    "ops@example.org",
    "night@example.org",
  ]);
  const [head = "", ...rest] = (call?.input ?? "").split("\n\n");
  const names = head
    .replaceAll("\n ", " ")
    .split("\n")
    .map((line) => line.split(":")[0]);
  assert.deepEqual(names, [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "Auto-Submitted",
    "X-Priority",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
  ]);
  assert.ok(
    head.split("\n").every((line) => line.length <= 78),
    head,
  );
  const words = [...head.matchAll(/=\?utf-8\?B\?([^?]+)\?=/g)].map(([, word = ""]) =>
    Buffer.from(word, "base64"),
  );
  assert.ok(words.length > 1);
  assert.ok(words.every((word) => !word.toString("utf8").includes("\ufffd")));
  assert.equal(Buffer.concat(words).toString("utf8"), title);
  assert.equal(rest.length, 1, "one body");
  const body = Buffer.from(rest[0] ?? "", "base64").toString("utf8");
  assert.match(
    body,
    /^the store is away\r\nnext: look – über there\r\n[\s\S]*one\r\ntwo\r\n\. \r\n\.\r\nthree\r\n$/,
  );
});

test("a command gets words as they are, facts in its environment, and no credentials of ours", async () => {
  process.env["AWS_SECRET_ACCESS_KEY"] = SECRET;
  const program = await standIn(newDirectory(), "takes");
  const channel = channelOf({ kind: "command", argv: [program.program, "a b", "$(touch /tmp/x)", "*"] });
  await channel.deliver(alert, { signal: AbortSignal.timeout(300_000) });
  delete process.env["AWS_SECRET_ACCESS_KEY"];
  const [call] = program.calls();
  assert.deepEqual(call?.argv, ["a b", "$(touch /tmp/x)", "*"]);
  AlertBody.strict().parse(JSON.parse(call?.input ?? ""));
  for (const line of [
    "DROPS_EVENT=failure",
    "DROPS_REMINDER=0",
    "DROPS_POLICY_NAME=ops",
    "DROPS_VERB=backup",
    "DROPS_MACHINE=backup-host",
    "DROPS_EXIT_CODE=11",
    "DROPS_FAILURE=store/unavailable",
    "DROPS_TITLE=drops: backup of ops failed",
  ])
    assert.ok(call?.env.split("\n").includes(line), line);
  assert.doesNotMatch(call?.env ?? "", /AWS_|b0a7f00d/);
});

const broken: readonly { name: string; policy: () => Promise<object>; says: RegExp }[] = [
  {
    name: "a file that is not there",
    policy: async () => ({ kind: "ping", url_file: "/nowhere/url" }),
    says: /^address file \/nowhere\/url does not exist$/,
  },
  {
    name: "a file that everybody can read",
    policy: async () => ({ kind: "ping", url_file: await secretFile(`http://127.0.0.1/${SECRET}`, 0o644) }),
    says: /^address file .* is open to other users$/,
  },
  {
    name: "a file without an address",
    policy: async () => ({ kind: "webhook", url_file: await secretFile(`${SECRET}\n`) }),
    says: /has no http or https address$/,
  },
  {
    name: "an address of another kind",
    policy: async () => ({ kind: "webhook", url_file: await secretFile(`file:///etc/${SECRET}\n`) }),
    says: /has no http or https address$/,
  },
  {
    name: "a header that is none",
    policy: async () => {
      return {
        kind: "webhook",
        url: "http://127.0.0.1:9/",
        headers_file: await secretFile(`A: b\n${SECRET}\n`),
      };
    },
    says: /^line 2 of .* is not Name: value$/,
  },
  {
    name: "a program that is not there",
    policy: async () => ({ kind: "mail", to: ["a@example.org"], sendmail: ["/nowhere/sendmail"] }),
    says: /^cannot start \/nowhere\/sendmail: ENOENT$/,
  },
];
for (const { name, policy, says } of broken) {
  test(`${name} is refused, and not quoted`, async () => {
    const channel = channelOf(await policy());
    await assert.rejects(channel.deliver(alert, { signal: AbortSignal.timeout(300_000) }), (error) => {
      assert.ok(error instanceof DropsError);
      assert.equal(error.code, "notify/refused");
      assert.match(error.message, says);
      assert.doesNotMatch(`${error.message}${error.hint ?? ""}`, /b0a7f00d/);
      return true;
    });
  });
}
