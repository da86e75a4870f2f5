import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { DropsError } from "../src/lib/errors.ts";
import { Policy, type StorePolicy } from "../src/policy/schema.ts";
import { parseStoreUrl, storeUrl } from "../src/store/store-url.ts";

const s3 = { bucket: "bucket", prefix: "drops", region: "us-east-1", path_style: true } as const;

const table: readonly { readonly url: string; readonly store: StorePolicy }[] = [
  { url: "s3://bucket", store: { s3 } },
  { url: "s3://bucket/", store: { s3 } },
  { url: "s3://bucket/a/b/", store: { s3: { ...s3, prefix: "a/b" } } },
  {
    url: "s3://bucket/drops?endpoint=https://s3.example.org:9000&region=eu-central-1&ca_file=/etc/ca.pem&path_style=false",
    store: {
      s3: {
        ...s3,
        endpoint: "https://s3.example.org:9000",
        region: "eu-central-1",
        ca_file: "/etc/ca.pem",
        path_style: false,
      },
    },
  },
  {
    url: "s3://bucket/drops?credentials_file=/etc/drops/s3%20keys",
    store: { s3: { ...s3, credentials_file: "/etc/drops/s3 keys" } },
  },
  { url: "file:///srv/backup%20disk", store: { directory: "/srv/backup disk" } },
  { url: "/srv/100%/backup", store: { directory: "/srv/100%/backup" } },
];
for (const { url, store } of table) {
  test(`${url} is read`, () => {
    assert.deepEqual(parseStoreUrl(url), store);
    assert.deepEqual(parseStoreUrl(storeUrl(store)), store);
  });
}

const refused: readonly { readonly url: string; readonly says: RegExp }[] = [
  { url: "", says: /not the address of a store/ },
  { url: "backup", says: /not the address of a store/ },
  { url: "./backup", says: /not the address of a store/ },
  { url: "https://s3.example.org/bucket", says: /not the address of a store/ },
  { url: "file://host/share", says: /not the address of a store/ },
  { url: "/srv/../etc", says: /not the address of a store/ },
  { url: "file:///srv/%2e%2e/etc", says: /not the address of a store/ },
  { url: "file:///srv/100%", says: /two hex digits/ },
  { url: "s3://", says: /not the address of a store/ },
  { url: "s3://Bucket/drops", says: /not the address of a store/ },
  { url: "s3://bucket/a//b", says: /not the address of a store/ },
  { url: "s3://bucket/drops?endpoint=https://me:topsecret@x", says: /not the address of a store/ },
  { url: "s3://bucket/drops?endpoint=ftp://x", says: /not the address of a store/ },
  { url: "s3://bucket/drops?ca_file=ca.pem", says: /not the address of a store/ },
  { url: "s3://bucket/drops?path_style=maybe", says: /true or false/ },
  { url: "s3://bucket/drops?region=a&region=b", says: /stands twice/ },
  { url: "s3://bucket/drops?colour=red", says: /colour is not known/ },
  { url: "s3://bucket/drops?region=a?b", says: /one question mark/ },
  { url: "s3://AKIA123:topsecret@bucket/drops", says: /holds no credentials/ },
];
for (const { url, says } of refused) {
  test(`${url === "" ? "nothing" : url} is refused`, () => {
    assert.throws(
      () => parseStoreUrl(url),
      (error) => {
        assert.ok(error instanceof DropsError, String(error));
        assert.equal(error.code, "usage/invalid");
        assert.match(error.message, says);
        assert.ok(error.hint);
        assert.ok(!`${error.message} ${error.hint}`.includes("topsecret"));
        return true;
      },
    );
  });
}

const segment = fc.stringMatching(/^[A-Za-z0-9._-]{1,12}$/);
const path = fc
  .array(fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 }), { minLength: 1, maxLength: 4 })
  .map((parts) => `/${parts.join("/")}`);
const store = fc.oneof(
  fc.record({ directory: path }),
  fc.record({
    s3: fc.record(
      {
        bucket: fc.stringMatching(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/),
        prefix: fc.array(segment, { minLength: 1, maxLength: 3 }).map((parts) => parts.join("/")),
        endpoint: fc.webUrl({ withQueryParameters: true }),
        region: fc.string({ maxLength: 20 }),
        path_style: fc.boolean(),
        ca_file: path,
        credentials_file: path,
      },
      { requiredKeys: ["bucket", "prefix", "region", "path_style"] },
    ),
  }),
);

test("every store that a policy can hold has an address that is read back as the same", () => {
  let valid = 0;
  fc.assert(
    fc.property(store, (made) => {
      const read = Policy.shape.store.safeParse(made);
      if (!read.success) return; // such as a path with .. in it
      valid += 1;
      assert.deepEqual(parseStoreUrl(storeUrl(read.data)), read.data);
    }),
    { numRuns: 500 },
  );
  assert.ok(valid > 250, `${valid} of 500 were stores`);
});
