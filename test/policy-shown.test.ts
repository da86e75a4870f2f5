import assert from "node:assert/strict";
import { test } from "node:test";
import { withoutSecrets } from "../src/policy/shown.ts";

const rows: readonly { name: string; value: unknown; shown: unknown }[] = [
  {
    name: "what is no secret stays",
    value: { a: [1, true, "/etc/drops"] },
    shown: { a: [1, true, "/etc/drops"] },
  },
  {
    name: "a login in an address",
    value: { endpoint: "https://key:secret@s3.example.org/x" },
    shown: { endpoint: "https://(hidden)@s3.example.org/x" },
  },
  {
    name: "a login in the middle of an argument",
    value: { argv: ["sh", "-c", "pg_dump postgres://me:secret@db/x | cat"] },
    shown: { argv: ["sh", "-c", "pg_dump postgres://(hidden)@db/x | cat"] },
  },
  {
    name: "an address that is enough to speak in our name",
    value: { notify: [{ url: "https://hc.example.org/ping/0aa-secret" }] },
    shown: { notify: [{ url: "https://hc.example.org/(hidden)" }] },
  },
  { name: "one that is none", value: { url: "secret" }, shown: { url: "(hidden)" } },
  {
    name: "fields of a message",
    value: { fields: { topic: "secret", priority: 5 } },
    shown: { fields: { topic: "(hidden)", priority: "(hidden)" } },
  },
  {
    name: "the address that readiness is asked at",
    value: { ready: { http: "http://127.0.0.1:8008/versions" } },
    shown: { ready: { http: "http://127.0.0.1:8008/versions" } },
  },
];
for (const { name, value, shown } of rows)
  test(`shown without secrets: ${name}`, () => assert.deepEqual(withoutSecrets(value), shown));
