import assert from "node:assert/strict";
import { test } from "node:test";
import { runHostDrill } from "../../src/drill/on-host.ts";
import { hostFacts } from "../../src/host/host-facts.ts";
import { isFailure } from "../../src/lib/errors.ts";
import { answeringHost } from "../support/answering-host.ts";
import { readPartsOf, TinyRepository } from "../support/tiny-repository.ts";

const how = { signal: new AbortController().signal };
const machine = (id: string, name: string, addresses: string) =>
  answeringHost(Buffer.from(`hostname=${name}\nmachine_id=${id}\naddresses=${addresses}\n`));
const production = machine("a", "ops", "203.0.113.1 2001:db8::1");

const rows = [
  { name: "the machine itself", host: production, says: /made of \(the address 203\.0\.113\.1\)/ },
  {
    name: "the machine under a new address",
    host: machine("a", "ops", "203.0.113.9"),
    says: /made of \(the same machine id and name\)/,
  },
  {
    name: "one of its addresses, whatever the id",
    host: machine("b", "new", "10.0.0.2 2001:db8::1"),
    says: /made of \(the address 2001:db8::1\)/,
  },
  // it goes on to the probe, which this host does not answer
  {
    name: "another machine",
    host: machine("b", "new", "10.0.0.2"),
    says: /could not be shown to be cut off/,
  },
];
for (const { name, host, says } of rows) {
  test(`a drill with a local policy, or with none, is refused on ${name}`, async () => {
    const tiny = await TinyRepository.create();
    const source = await tiny.source({ name: "etc", kind: "files", entries: [] });
    await tiny.commit([source], { host: await hostFacts(production, [], how) });
    let began = false;
    const restore = async () => {
      began = true;
      throw new Error("it began");
    };
    const parts = { ...readPartsOf(tiny), host, policy: undefined, outside: [], restore };
    await assert.rejects(runHostDrill(parts, { choice: { date: "latest" }, only: [] }, how), (error) => {
      assert.ok(isFailure(error, "safety/refused"), String(error));
      assert.match(error.message, says);
      return true;
    });
    assert.equal(began, false);
  });
}
