import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import { hostKeyCheck } from "../src/host/host-key.ts";
import {
  fingerprint,
  judgeKey,
  type KeyVerdict,
  knownTypes,
  parseKnownHosts,
} from "../src/host/known-hosts.ts";
import { sshDestination } from "../src/host/ssh-destination.ts";

const A = "AAAAC3NzaC1lZDI1NTE5AAAAIAAA";
const B = "AAAAC3NzaC1lZDI1NTE5AAAAIBBB";

function hashed(name: string): string {
  const salt = Buffer.from("12345678901234567890");
  return `|1|${salt.toString("base64")}|${createHmac("sha1", salt).update(name).digest("base64")}`;
}

const table: readonly {
  name: string;
  text: string;
  address?: string;
  port?: number;
  shows?: string;
  verdict: KeyVerdict;
}[] = [
  { name: "the same key", text: `h.org ssh-ed25519 ${A}`, verdict: "known" },
  {
    name: "a comment after the key, tabs between",
    text: `h.org\tssh-ed25519\t${A}\troot@h`,
    verdict: "known",
  },
  { name: "capitals in the file", text: `H.Org ssh-ed25519 ${A}`, verdict: "known" },
  { name: "capitals in the policy", text: `h.org ssh-ed25519 ${A}`, address: "H.ORG", verdict: "known" },
  { name: "another key", text: `h.org ssh-ed25519 ${B}`, verdict: "changed" },
  { name: "one of several keys", text: `h.org ssh-ed25519 ${B}\nh.org ssh-ed25519 ${A}`, verdict: "known" },
  { name: "another host", text: `i.org ssh-ed25519 ${A}`, verdict: "unknown" },
  { name: "nothing", text: "", verdict: "unknown" },
  { name: "comments and rubbish", text: `# h.org ssh-ed25519 ${A}\n\nrubbish\n  \n`, verdict: "unknown" },
  { name: "a list of names", text: `i.org,h.org,10.0.0.1 ssh-ed25519 ${A}`, verdict: "known" },
  { name: "a wildcard", text: `*.org ssh-ed25519 ${A}`, verdict: "known" },
  { name: "a question mark", text: `?.org ssh-ed25519 ${A}`, verdict: "known" },
  { name: "a dot is no wildcard", text: `h*o.g ssh-ed25519 ${A}`, address: "hxoyg", verdict: "unknown" },
  { name: "a negation", text: `*.org,!h.org ssh-ed25519 ${A}`, verdict: "unknown" },
  { name: "a negation alone matches nothing", text: `!i.org ssh-ed25519 ${A}`, verdict: "unknown" },
  { name: "a port", text: `[h.org]:2222 ssh-ed25519 ${A}`, port: 2222, verdict: "known" },
  {
    name: "another key at the port",
    text: `[h.org]:2222 ssh-ed25519 ${B}\nh.org ssh-ed25519 ${A}`,
    port: 2222,
    verdict: "changed",
  },
  { name: "another port", text: `[h.org]:2222 ssh-ed25519 ${A}`, verdict: "unknown" },
  {
    name: "the name alone is good for another port",
    text: `h.org ssh-ed25519 ${A}`,
    port: 2222,
    verdict: "known",
  },
  {
    name: "another key of the name alone says nothing of the port",
    text: `h.org ssh-ed25519 ${B}`,
    port: 2222,
    verdict: "unknown",
  },
  { name: "a hashed name", text: `${hashed("h.org")} ssh-ed25519 ${A}`, verdict: "known" },
  {
    name: "a hashed name and port",
    text: `${hashed("[h.org]:2222")} ssh-ed25519 ${A}`,
    port: 2222,
    verdict: "known",
  },
  { name: "another hashed name", text: `${hashed("i.org")} ssh-ed25519 ${A}`, verdict: "unknown" },
  {
    name: "a hash of another kind",
    text: `${hashed("h.org").replace("|1|", "|2|")} ssh-ed25519 ${A}`,
    verdict: "unknown",
  },
  {
    name: "an IPv6 address",
    text: `[::1]:2222 ssh-ed25519 ${A}`,
    address: "::1",
    port: 2222,
    verdict: "known",
  },
  { name: "a revoked key", text: `h.org ssh-ed25519 ${A}\n@revoked * ssh-ed25519 ${A}`, verdict: "revoked" },
  {
    name: "another revoked key",
    text: `h.org ssh-ed25519 ${A}\n@revoked * ssh-ed25519 ${B}`,
    verdict: "known",
  },
  {
    name: "an authority is not a host key",
    text: `@cert-authority *.org ssh-ed25519 ${A}`,
    verdict: "certified",
  },
  {
    name: "a key beside an authority",
    text: `@cert-authority *.org ssh-ed25519 ${B}\nh.org ssh-ed25519 ${A}`,
    verdict: "known",
  },
  {
    name: "an authority of other hosts",
    text: `@cert-authority *.net ssh-ed25519 ${B}`,
    verdict: "unknown",
  },
];

for (const row of table) {
  test(`known_hosts: ${row.name}`, () => {
    const host = { address: row.address ?? "h.org", port: row.port ?? 22 };
    const key = Buffer.from(row.shows ?? A, "base64");
    assert.equal(judgeKey(parseKnownHosts(row.text), host, key), row.verdict);
  });
}

const wildcards: readonly (readonly [pattern: string, name: string, matches: boolean])[] = [
  ["*", "a", true],
  ["*.org", "h.org", true],
  ["*.org", "h.org.", false],
  ["h.*", "h.org", true],
  ["h?org", "h.org", true],
  ["h?org", "horg", false],
  ["*a*b", "xaxaxb", true],
  ["*a*b", "xaxaxc", false],
  ["h.org*", "h.org", true],
  ["?", "", false],
  ["h.[o]rg", "h.org", false],
];
for (const [pattern, address, matches] of wildcards) {
  test(`known_hosts: ${pattern} and ${address || "nothing"}`, () => {
    const lines = parseKnownHosts(`${pattern} ssh-ed25519 ${A}`);
    const verdict = judgeKey(lines, { address, port: 22 }, Buffer.from(A, "base64"));
    assert.equal(verdict, matches ? "known" : "unknown");
  });
}

test("known_hosts: a pattern of many stars is judged at once", () => {
  const lines = parseKnownHosts(`${"*a".repeat(8)}*b ssh-ed25519 ${A}`);
  const before = process.threadCpuUsage();
  assert.equal(judgeKey(lines, { address: "a".repeat(63), port: 22 }, Buffer.from(A, "base64")), "unknown");
  assert.ok(process.threadCpuUsage(before).user < 1_000_000, "a second of the processor's time");
});

test("a key that is too short for a type is another key, like any", async () => {
  const pinned = { address: "h.org", port: 22, user: "root", host_key: `ssh-ed25519 ${A}` };
  const how = { home: "/nonexistent", signal: new AbortController().signal };
  const check = await hostKeyCheck(await sshDestination(pinned, how));
  assert.equal(check.judge(Buffer.from([1, 2]))?.code, "host/key-mismatch");
});

test("the types that are known for a host", () => {
  const text = `h.org ssh-rsa ${A}\nh.org ecdsa-sha2-nistp256 ${A}\ni.org ssh-ed25519 ${A}\nh.org ssh-rsa ${B}`;
  const types = knownTypes(parseKnownHosts(text), { address: "h.org", port: 2222 });
  assert.deepEqual(types, ["ssh-rsa", "ecdsa-sha2-nistp256"]);
});

test("the fingerprint is the one that OpenSSH prints", () => {
  assert.equal(fingerprint(Buffer.from("abc")), "SHA256:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0");
});
