import assert from "node:assert/strict";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { commitRecord } from "../src/backup/commit.ts";
import { OUTPUTS } from "../src/cli/outputs.ts";
import { newSigningKey } from "../src/seal/keygen.ts";
import { loadSigner, signerFromText } from "../src/seal/sshsig.ts";
import type { SnapshotRecord } from "../src/snapshot/record.ts";
import { openDirectoryStore } from "../src/store/directory.ts";
import { openSite, type Site } from "./support/site.ts";
import { type Answer, StandardTools } from "./support/standard-tools.ts";

// What a plan holds back is taken by its id alone, by everybody who chooses a snapshot. Each row adds one such snapshot, the newest
// of all, to a repository with a good one.
const HOW = { signal: new AbortController().signal };
const GONE = "0000000000000bad";
const thief = signerFromText(newSigningKey("thief").privateKey, "a key that was stolen");

let site: Site;
let tools: StandardTools;
let good: SnapshotRecord;
before(async () => {
  site = await openSite();
  tools = await StandardTools.gather(site.directory);
  good = await newest();
});
after(() => site[Symbol.asyncDispose]());

async function newest(): Promise<SnapshotRecord> {
  const names = (await readdir(join(site.repository, "site/snapshots"))).filter((name) =>
    name.endsWith(".json"),
  );
  return JSON.parse(
    await readFile(join(site.repository, "site/snapshots", names.sort().at(-1) ?? ""), "utf8"),
  );
}

/** A record like the good one, as whoever has a key can make it. */
async function forge(change: Partial<SnapshotRecord>, signer = thief): Promise<string> {
  const record = { ...good, id: GONE, sequence: good.sequence + 1, ...change };
  await commitRecord(await openDirectoryStore(site.repository), record, signer, HOW);
  return record.id;
}

const out = () => join(site.directory, "out");
const own = () => loadSigner(join(site.keys, "signing-key"));
const inDays = (days: number) => new Date(Date.parse(good.ended) + days * 86_400_000).toISOString();
const dayOf = (iso: string) =>
  new Intl.DateTimeFormat("sv", { timeZone: "Europe/Berlin", dateStyle: "short" }).format(new Date(iso));
const utcDayOf = (iso: string) => iso.slice(0, 10);

interface Row {
  readonly name: string;
  /** Add it to the repository; answers its id. */
  readonly add: () => Promise<string>;
  /** Said of it by whoever passes it over. */
  readonly says: RegExp;
  /** Claims to be newer than the good one; claims to be of its day. */
  readonly isNewer: boolean;
  readonly isOfThatDay: boolean;
  /** Refused by its id, too: its signature is not believed. */
  readonly never?: true;
}

const rows: readonly Row[] = [
  {
    name: "dated three days ahead",
    add: async () => forge({ started: inDays(3), ended: inDays(3) }, await own()),
    says: /held back: it claims to be from the future/,
    isNewer: true,
    isOfThatDay: false,
  },
  {
    name: "dated two days back",
    add: async () => forge({ started: inDays(-2), ended: inDays(-2) }, await own()),
    says: /held back: it landed \d+ minutes away from when it claims to have ended/,
    isNewer: false,
    isOfThatDay: false,
  },
  {
    name: "signed by a key after it was revoked",
    add: async () => {
      const file = join(site.directory, "policy.yaml");
      const revoked = `keys:\n  revoked_signers: [{ key: "${thief.publicKey}", before: 2026-01-01T00:00:00Z }]\n`;
      await writeFile(file, (await readFile(file, "utf8")).replace("keys:\n", revoked));
      return forge({}); // of the very same time
    },
    says: /is signed by a revoked key/,
    isNewer: true,
    isOfThatDay: true,
    never: true,
  },
  {
    name: "withdrawn",
    add: async () => {
      await site.drops("backup");
      const { id } = await newest();
      assert.equal((await site.drops("withdraw", id, "--why", "after the break-in")).exit, 0);
      return id;
    },
    says: /held back: it was withdrawn/,
    isNewer: true,
    isOfThatDay: false, // after midnight it may be of another
  },
];

const to = (date: string) => ["--date", date, "--identity", site.identity];
const ofSnapshot = ({ snapshot }: { snapshot: { id: string } }) => snapshot.id;
/** Which snapshot each command takes when it is asked for a date. `took`: from its JSON. */
const commands: readonly {
  name: string;
  args: (date: string) => readonly string[];
  took: (json: never) => string;
  /** It says nothing of what it passes over. */
  isQuiet?: true;
  /** What it says in words of its own. */
  ofStranger?: RegExp;
}[] = [
  { name: "restore", args: (date) => ["restore", ...to(date), "--to", out()], took: ofSnapshot },
  { name: "drill", args: (date) => ["drill", ...to(date)], took: ofSnapshot },
  { name: "pin", args: (date) => ["pin", date, "--why", "kept"], took: ofSnapshot, isQuiet: true },
  {
    name: "show",
    args: (date) => ["show", date],
    took: ({ id }: { id: string }) => id,
    ofStranger: /no trusted key signed it/,
  },
  { name: "ls", args: (date) => ["ls", date], took: ({ snapshot }: { snapshot: string }) => snapshot },
];

for (const row of rows) {
  const { name, add, isNewer, isOfThatDay, never } = row;
  describe(name, () => {
    let id = "";
    before(async () => {
      id = await add();
    });
    after(async () => {
      await site.policy({});
      const folder = join(site.repository, "site");
      const left = (await readdir(folder, { recursive: true })).filter((file) => file.includes(id));
      for (const file of left) await rm(join(folder, file));
    });

    for (const command of commands) {
      for (const date of ["latest", "that day"] as const) {
        test(`drops ${command.name} ${date} takes the good one, and says what it passes over`, async () => {
          await checkTaken(row, command, date);
        });
      }
    }

    test("drops export takes the good one", async () => {
      const { stderr } = await site.drops("export", "words", ...to("latest"));
      assert.match(stderr, new RegExp(`\\b${good.id}\\b`));
    });

    test("status, snapshots and plan agree on it", async () => {
      const status = OUTPUTS.status.parse(JSON.parse((await site.drops("status", "--json")).stdout));
      assert.equal(status.restore.newest?.id, good.id);
      const listed = OUTPUTS.snapshots.parse(JSON.parse((await site.drops("snapshots", "--json")).stdout));
      const held = listed.snapshots.filter((one) => one.held !== undefined).map((one) => one.id);
      assert.deepEqual(held, [id]);
      assert.match((await site.drops("snapshots")).stdout, new RegExp(`${id} is held back`));
      const plan = OUTPUTS.plan.parse(JSON.parse((await site.drops("plan", "--json")).stdout));
      assert.deepEqual(
        plan.snapshots.filter(({ slots }) => slots.length === 0).map((one) => one.id),
        [id],
      );
    });

    test("a completion offers it for no date", async () => {
      const policy = join(site.directory, "policy.yaml");
      const offered = async (option: string) =>
        (await site.drops("complete", "--", "--policy", policy, "restore", option, "")).stdout;
      assert.match(await offered("--date"), new RegExp(good.id));
      if (never) return; // a name says nothing of whose signature it is
      assert.doesNotMatch(await offered("--date"), new RegExp(id));
      assert.match(await offered("--snapshot"), new RegExp(`${id}\\t\\S+, held back`));
    });

    test(never ? "by its id it is refused" : "by its id it is taken, with a warning", async () => {
      const { exit, stderr } = await site.drops(
        ...["restore", "--snapshot", id, "--to", out(), "--identity", site.identity],
      );
      await clear();
      assert.equal(exit, never ? 13 : 0, stderr);
      if (!never)
        assert.match(
          stderr,
          new RegExp(`WARNING: snapshot ${id} (is held back, and is used because|was withdrawn)`),
        );
    });

    test("a day that holds nothing else is refused, and its id named", async () => {
      const { ended } = JSON.parse((await site.drops("show", id, "--json")).stdout);
      if (dayOf(ended) === dayOf(good.ended)) return;
      const { exit, stderr } = await site.drops(
        ...["restore", "--date", dayOf(ended), "--to", out(), "--identity", site.identity],
      );
      assert.deepEqual([exit, (await readdir(site.directory)).includes("out")], [22, false], stderr);
      assert.match(stderr, new RegExp(`--snapshot ${id} uses it anyway`));
    });

    test("recover.sh takes the good one too", async () => {
      for (const wanted of ["latest", utcDayOf(good.ended)]) {
        const { exit, stdout, stderr } = await recover(wanted);
        assert.equal(exit, 0, stderr);
        assert.match(stdout, new RegExp(`^recovering site ${good.id},`));
        const isSaid = wanted === "latest" ? isNewer : isOfThatDay;
        if (isSaid)
          assert.match(stderr, /(passed over, it (says that|was withdrawn)|ignored, signed by a revoked)/);
      }
    });

    test(`recover.sh by its id: ${never ? "refused" : "taken"}`, async () => {
      const { exit, stderr } = await recover(id);
      assert.equal(exit, never ? 1 : 0, stderr);
      if (!never && isNewer) assert.match(stderr, /taken because it was named, although/);
    });
  });
}

async function checkTaken(
  { says, isNewer, isOfThatDay, never }: Row,
  { name, args, took, isQuiet, ofStranger }: (typeof commands)[number],
  date: "latest" | "that day",
): Promise<void> {
  const { exit, stdout, stderr } = await site.drops(
    ...args(date === "latest" ? date : dayOf(good.ended)),
    "--json",
  );
  await clear();
  assert.ok(exit === 0 || name === "drill", stderr);
  assert.equal(took(JSON.parse(stdout.split("\n{", 1)[0] ?? "") as never), good.id);
  const isSaid = !isQuiet && (date === "latest" ? isNewer : isOfThatDay);
  if (isSaid) assert.match(stderr, (never && ofStranger) || says);
}

async function recover(wanted: string): Promise<Answer> {
  const folder = join(site.repository, "recovery");
  const script = (await readdir(folder)).find((file) => file.endsWith(".sh")) ?? "";
  const signers = join(site.directory, "signers.txt");
  const { publicKey } = await own();
  await writeFile(signers, `${publicKey}\nrevoked 2026-01-01T00:00:00Z ${thief.publicKey}\n`);
  const what = [site.repository, "site", wanted, site.identity, signers, out()];
  const answer = await tools.run(["bash", join(folder, script), ...what], { cwd: site.directory });
  await clear();
  return answer;
}

async function clear(): Promise<void> {
  for (const left of ["out", "words.tar"])
    await rm(join(site.directory, left), { recursive: true, force: true });
  const pins = join(site.repository, "site/pins");
  await mkdir(pins, { recursive: true });
  for (const pin of await readdir(pins)) await rm(join(pins, pin));
}
