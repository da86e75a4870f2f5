/**
 * The signing key was changed: recover.sh believes the keys of the sheet and no other, and a revoked one only of what was in the
 * store before it was. Then the same from the sheet itself, as it is typed, with nothing else left.
 */

import assert from "node:assert/strict";
import { chmod, copyFile, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { newSigningKey } from "../../src/seal/keygen.ts";
import { type Signer, signerFromText } from "../../src/seal/sshsig.ts";
import { trustOf } from "../../src/trust/trust.ts";
import { type Bucket, openBucket } from "../support/bucket.ts";
import { drops } from "../support/in-process.ts";
import { type Recoverable, type Recovery, recoverable } from "../support/recoverable.ts";
import { startS3, type TestS3 } from "../support/s3.ts";
import { runTool } from "../support/scratch.ts";
import { openSite, type Site } from "../support/site.ts";
import { type Answer, StandardTools } from "../support/standard-tools.ts";

const SOURCES = `  - { name: said, kind: command, argv: [cat, "@DIR@/output"] }\n`;
const newSigner = (name: string): Signer => signerFromText(newSigningKey(name).privateKey, name);

/** A time of its own that rclone would believe: long before all. */
const CLAIM = { mtime: "1000000000" };

/** The nights, in their order. */
const NIGHTS = ["old", "thief", "new", "stranger"] as const;
type Night = (typeof NIGHTS)[number];

/** A line of a file of signers. */
type Line = "OLD" | "NEW" | "revoked OLD" | "revoked OLD later" | "# a remark" | "";

const rows: readonly {
  name: string;
  /** One is given as it is, several in a file. */
  believed: readonly Line[];
  /** With --signer. */
  more?: readonly Line[];
  wanted: Night | "latest";
  /** Whose night comes back; else what is said. */
  brings: Night | RegExp;
  /** Depends on what the store says of times. */
  times?: true;
}[] = [
  { name: "before the change, by the old key", believed: ["OLD"], wanted: "old", brings: "old" },
  {
    name: "by the old key alone, the newest of its own",
    believed: ["OLD"],
    wanted: "latest",
    brings: "thief",
  },
  {
    name: "by the old key alone, one of the new key",
    believed: ["OLD"],
    wanted: "new",
    brings: /ignored, not signed by a trusted key: .*\n.*no snapshot for \w+ that a trusted key signed/,
  },
  {
    name: "by the new key alone, which did not sign the repository's description",
    believed: ["NEW"],
    wanted: "new",
    brings: /repository\.json is not signed by a trusted key/,
  },
  {
    name: "by both, the newest",
    believed: ["OLD", "", "# a remark", "NEW"],
    wanted: "latest",
    brings: "new",
  },
  { name: "by both, an old one", believed: ["NEW", "OLD"], wanted: "old", brings: "old" },
  { name: "by both, with --signer", believed: ["OLD"], more: ["NEW"], wanted: "latest", brings: "new" },
  {
    name: "by both, a stranger's",
    believed: ["OLD", "NEW"],
    wanted: "stranger",
    brings: /ignored, not signed by a trusted key: /,
  },
  {
    name: "the old one revoked, the newest",
    believed: ["NEW", "revoked OLD"],
    wanted: "latest",
    brings: "new",
    times: true,
  },
  {
    name: "the old one revoked, from before",
    believed: ["NEW", "revoked OLD"],
    wanted: "old",
    brings: "old",
    times: true,
  },
  {
    name: "the old one revoked, from after",
    believed: ["NEW", "revoked OLD"],
    wanted: "thief",
    brings: /ignored, signed by a revoked key and not in the store before 20\d{12} \(UTC\): /,
    times: true,
  },
  {
    name: "the old one revoked since later",
    believed: ["revoked OLD later"],
    wanted: "thief",
    brings: "thief",
  },
  {
    name: "revoked wins over being named",
    believed: ["OLD", "revoked OLD", "NEW"],
    more: ["OLD"],
    wanted: "thief",
    brings: /ignored, signed by a revoked key/,
  },
];

for (const client of [undefined, "curl", "rclone", "aws"] as const)
  describe(client ? `from S3 with ${client}` : "from a directory", () => {
    const stack = new AsyncDisposableStack();
    let of: Recoverable;
    let s3: TestS3;
    let bucket: Bucket;
    let successor: Signer;
    let revokedSince = "";
    let place: Partial<Recovery> = {};
    const ids = new Map<Night, string>();

    before(async () => {
      const programs = { curl: ["curl"], rclone: ["rclone"], aws: ["/usr/bin/aws"] };
      of = stack.use(await recoverable(SOURCES, client ? { [client]: programs[client] } : {}));
      successor = newSigner("the new key");
      const { signer } = of.rehearsal;
      await night("old", signer);
      if (client) await openPlace();
      const early = new Set(await filesIn(of.repository));
      await sleep(1100); // times are compared to the second
      revokedSince = new Date().toISOString();
      await night("thief", signer);
      await night("new", successor);
      await night("stranger", newSigner("a stranger"));
      if (!client) return;
      const prefix = place.repository?.replace(`s3://${bucket.name}/`, "");
      for (const file of (await filesIn(of.repository)).filter((file) => !early.has(file)))
        await bucket.put(`${prefix}/${file}`, await readFile(join(of.repository, file)), CLAIM);
    });
    after(() => stack.disposeAsync());

    async function openPlace(): Promise<void> {
      s3 = stack.use(await startS3());
      bucket = stack.use(await openBucket(s3));
      place = { repository: await bucket.upload(of.repository), ...access() };
    }

    const access = () => ({ env: bucket.env, options: [...bucket.options, "--client", client ?? ""] });

    async function night(name: Night, signer: Signer): Promise<void> {
      await writeFile(join(of.rehearsal.directory, "output"), name);
      const trust = trustOf(undefined, { signers: [of.rehearsal.signer.publicKey, signer.publicKey] });
      ids.set(name, (await of.rehearsal.night({ signer, trust })).record.id);
    }

    const lineOf = (line: Line): string => {
      const old = of.rehearsal.signer.publicKey;
      if (line === "revoked OLD") return `revoked ${revokedSince} ${old} the thief's`;
      if (line === "revoked OLD later") return `revoked 2999-01-01T00:00:00Z ${old}`;
      return line === "OLD" ? old : line === "NEW" ? successor.publicKey : line;
    };

    const fileOf = async (lines: readonly Line[]): Promise<string> => {
      const file = of.newPath("signers");
      await writeFile(file, lines.map(lineOf).join("\n")); // the last line without its end, as somebody might leave it
      return file;
    };

    const recover = async (how: Partial<Recovery>): Promise<Answer & { readonly out: string }> => {
      const out = of.newPath("out");
      const options = [...(place.options ?? []), "--cache", of.newPath("cache"), ...(how.options ?? [])];
      return { ...(await of.recover({ snapshot: "latest", ...place, ...how, options, out })), out };
    };

    for (const { name, believed, more = [], wanted, brings, times } of rows) {
      if ((client === "rclone" || client === "aws") && !times) continue;
      test(`${name}: ${brings instanceof RegExp ? "refused" : "recovered"}`, async () => {
        const [only] = believed;
        const { exit, stderr, out } = await recover({
          snapshot: ids.get(wanted as Night) ?? wanted,
          signer: believed.length === 1 && only ? lineOf(only) : await fileOf(believed),
          options: more.flatMap((line) => ["--signer", lineOf(line)]),
        });
        if (brings instanceof RegExp) {
          assert.equal(exit, 1, stderr);
          assert.match(stderr, brings);
          await assert.rejects(readdir(out), { code: "ENOENT" });
          return;
        }
        assert.equal(exit, 0, stderr);
        assert.equal(await readFile(join(out, "said/output"), "utf8"), brings);
      });
    }

    test("a copy, where all landed after the key was revoked: its description is refused", async () => {
      const copy = of.newPath("copy");
      await runTool("cp", "-r", of.repository, copy);
      const repository = client ? await bucket.upload(copy) : copy;
      const signer = await fileOf(["NEW", "revoked OLD"]);
      const { exit, stderr } = await recover({ repository, signer });
      assert.equal(exit, 1);
      assert.match(
        stderr,
        /repository\.json is signed by a revoked key and not in the store before 20\d{12}/,
      );
    });

    if (client) return;
    test("a time that another name pretends, with line breaks in it, is not believed", async () => {
      const copy = of.newPath("copy");
      await runTool("cp", "-rp", of.repository, copy);
      const folder = join(copy, "rehearsal/snapshots");
      const record = (await readdir(folder)).find((file) => file.endsWith(`${ids.get("thief")}.json`)) ?? "";
      for (
        let at = 0;
        at < 20;
        at++ // so that some are listed before and some after the record
      )
        for (const file of [record, `${record}.sig`])
          await writeFile(join(folder, `${at}\n${file} 2001-01-01T00:00:00\n`), "");
      const how = { repository: copy, snapshot: ids.get("thief") ?? "" };
      const { exit, stderr } = await recover({ ...how, signer: await fileOf(["NEW", "revoked OLD"]) });
      assert.equal(exit, 1, stderr);
      assert.match(stderr, /ignored, signed by a revoked key/);
    });

    const misuse: readonly { name: string; text: string; says: RegExp }[] = [
      { name: "that names nobody", text: "# nobody\n", says: /SIGNER is a file that names nobody/ },
      {
        name: "with half a key",
        text: "# x\nssh-ed25519 AAAAC3Nz",
        says: /signers-\d+, line 2, is no whole line such as/,
      },
      {
        name: "that is the identity's",
        text: "AGE-SECRET-KEY-1SECRET",
        says: /signers-\d+, line 1, is no whole line/,
      },
      {
        name: "with a time that is none",
        text: "revoked yesterday ssh-ed25519 A",
        says: /line 1, is no whole line/,
      },
    ];
    for (const { name, text, says } of misuse)
      test(`a file of signers ${name} is refused, and not repeated`, async () => {
        const signer = of.newPath("signers");
        await writeFile(signer, text);
        const { exit, stderr } = await recover({ signer });
        assert.equal(exit, 1);
        assert.match(stderr, says);
        assert.doesNotMatch(stderr, /SECRET/);
      });
  });

describe("the sheet of a policy whose signing key was changed", () => {
  let site: Site;
  let tools: StandardTools;
  const sheets = new Map<string, string>();
  const said = new Map<string, string>();
  const ids: string[] = [];
  let identity = "";

  before(async () => {
    site = await openSite();
    await chmod(site.directory, 0o755);
    identity = /AGE-SECRET-KEY-1\w+/.exec(await readFile(site.identity, "utf8"))?.[0] ?? "";
    const file = join(site.directory, "policy.yaml");
    const policy = await readFile(file, "utf8");
    const naming = (line: string) => writeFile(file, policy.replace("sources:\n", `  ${line}\nsources:\n`));
    const old = (await readFile(join(site.keys, "signing-key.pub"), "utf8")).trim();
    const later = join(site.directory, "later");
    assert.equal((await drops(["keygen", "--to", later])).exit, 0);
    for (const name of ["signing-key", "signing-key.pub"])
      await copyFile(join(later, name), join(site.keys, name));
    await sheet("unnamed", 13);
    await naming(`trusted_signers: [${JSON.stringify(old)}]`);
    assert.equal((await site.drops("backup")).exit, 0);
    await sheet("both", 0);
    await naming(`trusted_signers: [${JSON.stringify(old)}]`);
    await rename(join(site.keys, "signing-key"), join(site.directory, "elsewhere"));
    await sheet("of a reader that knows the old key alone", 0);
    await rename(join(site.directory, "elsewhere"), join(site.keys, "signing-key"));
    await naming(`revoked_signers: [{ key: ${JSON.stringify(old)}, before: 2999-01-01T00:00:00Z }]`);
    await sheet("revoked", 0);
    await naming(`revoked_signers: [{ key: ${JSON.stringify(old)}, before: 2001-01-01T00:00:00Z }]`);
    await sheet("too late", 13);
    await naming(`trusted_signers: [${JSON.stringify(old)}]`);
    const { stdout } = await site.drops("snapshots", "--json");
    ids.push(...JSON.parse(stdout).snapshots.map(({ id }: { id: string }) => id));
    for (const gone of [site.keys, later, file]) await rm(gone, { recursive: true });
    tools = await StandardTools.gather(site.directory);
  });
  after(() => site[Symbol.asyncDispose]());

  async function sheet(name: string, exit: number): Promise<void> {
    const to = join(site.directory, `sheet-${name}`);
    const made = await site.drops("keygen", "--recovery", "--to", to);
    assert.equal(made.exit, exit, made.stderr);
    said.set(name, made.stdout);
    sheets.set(name, exit === 0 ? await readFile(join(to, "recovery-sheet.txt"), "utf8") : made.stderr);
    await rm(to, { recursive: true, force: true });
  }

  /** What the sheet's blocks say is typed at an empty desk. */
  async function type(name: string, snapshot: string): Promise<Answer & { readonly desk: string }> {
    const text = sheets.get(name) ?? "";
    const desk = join(site.directory, `desk-${name}-${snapshot}`);
    await mkdir(desk);
    await writeFile(join(desk, "recovery-identity.txt"), `${identity}\n`, { mode: 0o600 });
    const block = (number: number) =>
      (text.split(new RegExp(`^${number}\\. .*\\n-+\\n`, "m"))[1]?.split(/\n[^\n]+\n---+\n/)[0] ?? "")
        .split("\n")
        .filter((line) => line.startsWith("    ") && !/apt-get|nano/.test(line))
        .map((line) => line.slice(4))
        .join("\n");
    const typed = `${block(5)}\n${block(7).replace(" latest ", ` ${snapshot} `)}`;
    return { ...(await tools.run(["bash", "-euc", typed], { cwd: desk })), desk };
  }

  for (const name of ["both", "revoked"])
    for (const which of ["the old key's", "the new key's"] as const)
      test(`${name}: ${which} snapshot comes back without drops, and by drops`, async () => {
        const id = ids[which === "the old key's" ? 0 : 1] ?? "";
        const { exit, stderr, desk } = await type(name, id);
        assert.equal(exit, 0, stderr);
        assert.deepEqual(await tools.homeEntries(), []);
        assert.equal(await readFile(join(desk, "restored/words/output"), "utf8"), "some words");

        const [store, signer] = [site.repository, join(desk, "signers.txt")];
        const reading = [
          "--store",
          store,
          "--identity",
          join(desk, "recovery-identity.txt"),
          "--trusted-signer",
          signer,
        ];
        const by = await drops(["restore", "--snapshot", id, "--to", join(desk, "by-drops"), ...reading]);
        assert.equal(by.exit, 0, by.stderr);
        const runbook = await drops(["runbook", "--markdown", ...reading]);
        assert.equal(runbook.exit, 0, runbook.stderr);
        for (const line of (await readFile(signer, "utf8")).trim().split("\n"))
          assert.ok(runbook.stdout.includes(`'${line}'`));
      });

  test("the newest, and its own runbook names both signers", async () => {
    const { exit, stderr, desk } = await type("both", "latest");
    assert.equal(exit, 0, stderr);
    const runbook = await readFile(join(desk, "restored/RUNBOOK.md"), "utf8");
    for (const line of (await readFile(join(desk, "signers.txt"), "utf8")).trim().split("\n"))
      assert.ok(runbook.includes(`  '${line}'`), line);
  });

  test("a sheet that would not recover the newest snapshot says so", () => {
    const newest =
      /^ +note: this sheet does not recover the newest: snapshot record \S+ is signed by a key that is not trusted/m;
    assert.match(said.get("of a reader that knows the old key alone") ?? "", newest);
    for (const name of ["both", "revoked"]) assert.doesNotMatch(said.get(name) ?? "", /note:/);
  });

  for (const [name, says] of [
    ["unnamed", /repository\.json in .* is signed by a key that is not trusted/],
    ["too late", /repository\.json in .* is signed by a revoked key and was not in the store before 2001/],
  ] as const)
    test(`${name}: no sheet that could not read repository.json, and what to do`, () => {
      assert.match(sheets.get(name) ?? "", says);
      assert.match(sheets.get(name) ?? "", /^hint: .*keys\.trusted_signers/m);
    });
});

async function filesIn(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(directory, join(entry.parentPath, entry.name)));
}
