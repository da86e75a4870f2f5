import assert from "node:assert/strict";
import { test } from "node:test";
import { notifyRemarks } from "../../src/policy/notify-remarks.ts";
import { Notify } from "../../src/policy/notify-schema.ts";
import { Ssh } from "../../src/policy/schema.ts";

const HOST = { ssh: Ssh.parse({ address: "server.example.org" }) };
const WATCHDOG = { name: "watchdog", kind: "ping", url_file: "/k/url" };

const remarks: readonly [
  name: string,
  host: "local" | typeof HOST,
  channels: readonly object[],
  says: readonly RegExp[],
][] = [
  [
    "a watchdog elsewhere and a phone",
    "local",
    [WATCHDOG, { name: "p", kind: "webhook", url: "https://ntfy.sh/" }],
    [],
  ],
  [
    "no ping",
    "local",
    [{ name: "m", kind: "mail", to: ["a@example.org"] }],
    [/^no channel of notify is a ping/],
  ],
  [
    "loopback of the machine that is backed up",
    "local",
    [WATCHDOG, { name: "p", kind: "webhook", url: "http://127.0.0.1:8008/" }],
    [/^the channel p is on the machine that is backed up/],
  ],
  ["loopback of a backup host", HOST, [{ ...WATCHDOG, url_file: undefined, url: "http://[::1]:8000/x" }], []],
  [
    "the server itself, over http",
    HOST,
    [{ ...WATCHDOG, url_file: undefined, url: "http://server.example.org/x" }],
    [/^the channel watchdog is on the machine that is backed up/, /^the channel watchdog uses http/],
  ],
];
for (const [name, host, channels, says] of remarks) {
  test(`policy check remarks on ${name}: ${says.length} times`, () => {
    const found = notifyRemarks({ host, notify: Notify.parse({ channels }) });
    assert.equal(found.length, says.length, found.join("\n"));
    for (const [index, words] of says.entries()) assert.match(found[index] ?? "", words);
  });
}

const refused: readonly [name: string, notify: object][] = [
  ["nobody", { channels: [] }],
  ["two of a name", { channels: [WATCHDOG, WATCHDOG] }],
  ["an address and a file", { channels: [{ ...WATCHDOG, url: "https://example.org" }] }],
  ["neither", { channels: [{ name: "w", kind: "ping" }] }],
  ["another kind of address", { channels: [{ name: "w", kind: "ping", url: "file:///etc/passwd" }] }],
  [
    "a header in a mail address",
    { channels: [{ name: "m", kind: "mail", to: ["a@example.org\nBcc: b@example.org"] }] },
  ],
  [
    "an option as a mail address",
    { channels: [{ name: "m", kind: "mail", to: ["-Oaliases=/tmp/x@example.org"] }] },
  ],
  ["a program that PATH decides", { channels: [{ name: "c", kind: "command", argv: ["page"] }] }],
  ["an event that there is not", { channels: [{ ...WATCHDOG, on: ["finish"] }] }],
  ["a limit of an hour", { time_limit: "1h", channels: [WATCHDOG] }],
  ["no limit", { time_limit: "0s", channels: [WATCHDOG] }],
];
for (const [name, notify] of refused)
  test(`notify is refused with ${name}`, () => {
    assert.equal(Notify.safeParse(notify).success, false);
  });
