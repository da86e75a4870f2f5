import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { merged, newestOf, readEvidence, readPublished } from "../../src/drill/earlier-evidence.ts";
import { type Evidence, encodeEvidence } from "../../src/drill/evidence.ts";
import { writeEvidence } from "../../src/drill/evidence-directory.ts";
import { junitOf } from "../../src/drill/junit.ts";
import { publishEvidence } from "../../src/drill/publish.ts";
import { newSigningKey } from "../../src/seal/keygen.ts";
import { signerFromText } from "../../src/seal/sshsig.ts";
import { trustOf } from "../../src/trust/trust.ts";
import { openMemoryStore } from "../support/memory-store.ts";
import { sampleEvidence } from "../support/sample-evidence.ts";
import { runTool, scratchDirectory } from "../support/scratch.ts";

const signer = signerFromText(newSigningKey("drill").privateKey, "the test's drill key");
const trust = trustOf(undefined, { signers: [signer.publicKey] });
const HOW = { signal: new AbortController().signal };
const zone = "Europe/Berlin";
const PLACE = { repository: sampleEvidence().repository, policy: sampleEvidence().policy };

async function write(directory: string, change: Partial<Evidence> = {}) {
  const earlier = await readEvidence(directory, PLACE, trust, HOW);
  const evidence = sampleEvidence({ previous: newestOf(earlier) ?? null, ...change });
  return { evidence, earlier, ...(await writeEvidence(directory, evidence, { signer, earlier, zone })) };
}

test("evidence is signed so that OpenSSH agrees, and by nobody else, for nothing else", async () => {
  await using at = await scratchDirectory();
  const { json, signature } = await write(join(at.path, "new"));
  const allowed = join(at.path, "allowed");
  await writeFile(allowed, `drill ${signer.publicKey}\n`);
  const check = (namespace: string, file: string) =>
    runTool(
      "sh",
      "-c",
      'ssh-keygen -Y verify -f "$1" -I drill -n "$2" -s "$3" < "$4"',
      ...["sh", allowed, namespace, signature, file],
    );
  assert.match(String(await check("drops-evidence-v1", json)), /^Good "drops-evidence-v1" signature/);
  await assert.rejects(check("drops-snapshot-v1", json));
  const changed = join(at.path, "changed.json");
  await writeFile(changed, (await readFile(json, "utf8")).replace('"unproven"', '"proven"'));
  await assert.rejects(check("drops-evidence-v1", changed));
});

test("evidence comes back as it was written, and names the one before it", async () => {
  await using at = await scratchDirectory();
  const first = await write(at.path, { id: "1".repeat(16), ended: "2026-11-17T03:00:00.000Z" });
  const second = await write(at.path, { id: "2".repeat(16) });
  assert.equal(first.evidence.previous, null);
  assert.equal(second.evidence.previous, hash("sha256", await readFile(first.json), "hex"));
  const found = await readEvidence(at.path, PLACE, trust, HOW);
  assert.deepEqual(
    found.map((one) => (one.refused === undefined ? one.evidence : one.refused)),
    [second.evidence, first.evidence],
  );
  assert.deepEqual(
    (await readdir(at.path)).filter((name) => name.endsWith(".partial")),
    [],
  );
  assert.deepEqual(await readFile(join(at.path, "index.html")), await readFile(second.page));
  assert.deepEqual(await readFile(join(at.path, "junit.xml")), await readFile(second.junit));
  assert.deepEqual(await readEvidence(at.path, { ...PLACE, policy: "other" }, trust, HOW), []);
});

const forgeries: readonly {
  readonly name: string;
  readonly forge: (files: { json: string; signature: string }, at: string) => Promise<unknown>;
  readonly says: RegExp;
}[] = [
  {
    name: "whose verdict was changed",
    forge: async ({ json }) =>
      writeFile(json, (await readFile(json, "utf8")).replace('"verdict": "unproven"', '"verdict": "proven"')),
    says: /the signature does not belong to these bytes/,
  },
  { name: "without its signature", forge: ({ signature }) => rm(signature), says: /is not signed/ },
  {
    name: "that another key signed",
    forge: async ({ json, signature }) => {
      const other = signerFromText(newSigningKey("other").privateKey, "another");
      await writeFile(signature, other.sign("drops-evidence-v1", await readFile(json)));
    },
    says: /signed by a key that is not trusted/,
  },
  {
    name: "whose signature was made for a snapshot",
    forge: async ({ json, signature }) =>
      writeFile(signature, signer.sign("drops-snapshot-v1", await readFile(json))),
    says: /was not made for drops-evidence-v1/,
  },
  {
    name: "that was copied to another time",
    forge: async ({ json, signature }, at) => {
      const name = join(at, "20270101T000000Z-0123456789abcdef.json");
      await writeFile(name, await readFile(json));
      await writeFile(`${name}.sig`, await readFile(signature));
      await rm(json);
    },
    says: /is evidence of another drill/,
  },
];
for (const { name, forge, says } of forgeries) {
  test(`evidence ${name} is refused, and shown as that`, async () => {
    await using at = await scratchDirectory();
    await forge(await write(at.path), at.path);
    const [refused, ...more] = await readEvidence(at.path, PLACE, trust, HOW);
    assert.deepEqual(more, []);
    assert.match(refused?.refused ?? "", says);
    assert.equal(newestOf(refused ? [refused] : []), undefined);
    const next = await write(at.path, { id: "2".repeat(16), ended: "2026-12-01T03:00:00.000Z" });
    assert.match(await readFile(next.page, "utf8"), /<strong>refused<\/strong>/);
  });
}

test("evidence that was taken away in between shows", async () => {
  await using at = await scratchDirectory();
  const times = ["2026-11-03", "2026-11-10", "2026-11-17"].map((day) => `${day}T03:00:00.000Z`);
  const made = [];
  for (const [number, ended] of times.entries())
    made.push(await write(at.path, { id: `${number}`.repeat(16), ended }));
  const whole = await write(at.path, { id: "a".repeat(16), ended: "2026-11-24T03:00:00.000Z" });
  assert.doesNotMatch(await readFile(whole.page, "utf8"), /Evidence is missing/);
  await rm(made[1]?.json ?? "");
  const next = await write(at.path, { id: "b".repeat(16), ended: "2026-12-01T03:00:00.000Z" });
  assert.match(await readFile(next.page, "utf8"), /Evidence is missing in between<\/strong>: 1 drill names/);
});

test("published evidence comes back from the repository, and is read once when it is here too", async () => {
  await using at = await scratchDirectory();
  const how = { signal: new AbortController().signal };
  const store = openMemoryStore();
  const here = await write(at.path, { id: "1".repeat(16) });
  const there = sampleEvidence({ id: "2".repeat(16), ended: "2026-11-25T03:00:00.000Z" });
  for (const evidence of [here.evidence, there]) {
    await publishEvidence(store, evidence, encodeEvidence(evidence), signer, how);
  }
  const key = "ops/evidence/20261126T030000Z-3333333333333333.json";
  await store.put(key, encodeEvidence(sampleEvidence()), how);
  const found = merged(
    await readEvidence(at.path, PLACE, trust, HOW),
    await readPublished(store, PLACE, trust, how),
  );
  const told = found.map((one) =>
    one.refused === undefined ? [one.evidence.id[0], one.page !== undefined] : "refused",
  );
  assert.deepEqual(told, ["refused", ["2", false], ["1", true]]);
});

test("evidence is canonical JSON of whole numbers, as every document of the repository", () => {
  const bytes = encodeEvidence(sampleEvidence()).toString();
  assert.equal(bytes, `${JSON.stringify(JSON.parse(bytes), null, 2)}\n`);
  assert.doesNotMatch(bytes, /": \d+\.\d/);
  assert.throws(() => encodeEvidence({ ...sampleEvidence(), verdict: "perhaps" as "proven" }));
});

test("JUnit tells failures, errors and what was skipped apart, in well-formed XML", async () => {
  await using at = await scratchDirectory();
  const file = join(at.path, "junit.xml");
  const text = junitOf(sampleEvidence());
  await writeFile(file, text);
  const script = `import sys, json, xml.etree.ElementTree as tree
suite = tree.parse(sys.argv[1]).getroot()[0]
print(json.dumps([suite.attrib, [[case.get("classname"), case.get("name"), [part.tag for part in case], [part.get("message") for part in case]] for case in suite.iter("testcase")]]))`;
  const [counts, cases] = JSON.parse(String(await runTool("python3", "-c", script, file))) as [
    Record<string, string>,
    [string, string, string[], (string | null)[]][],
  ];
  const { tests, failures, errors, skipped, time, timestamp } = counts;
  assert.deepEqual(
    { tests, failures, errors, skipped, time, timestamp },
    {
      tests: "7",
      failures: "2",
      errors: "1",
      skipped: "2",
      time: "95.500",
      timestamp: "2026-11-24T02:58:24",
    },
  );
  assert.deepEqual(
    cases.map(([, , tags]) => tags.join()),
    ["system-out", "failure", "failure", "error", "system-out", "skipped", "skipped"],
  );
  const hostile = cases.find(([, name]) => name.includes("script"));
  assert.equal(hostile?.[1], 'a "name" with <script>alert(1)</script> & \\u{202e}more');
});
