import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { generateHybridIdentity, generateX25519Identity, identityToRecipient } from "age-encryption";
import { documentAsPage } from "../../src/paper/as-page.ts";
import { documentAsText } from "../../src/paper/as-text.ts";
import { recoverySheet, type SheetFacts } from "../../src/paper/sheet.ts";
import { newSigningKey } from "../../src/seal/keygen.ts";
import { checkPublicKey } from "../../src/seal/ssh-key.ts";
import { fingerprint } from "../../src/seal/sshsig.ts";
import { openSite, type Site } from "../support/site.ts";

const run = promisify(execFile);

const newKey = () => checkPublicKey(newSigningKey("drops-2026-11-24").publicKey, "a new key");

/** With everything as long as it gets. */
async function longest(identity: string): Promise<SheetFacts> {
  return {
    store: {
      s3: {
        bucket: `bucket-of-${"a-long-name-".repeat(3)}x`,
        prefix: "backups/of-the-service/drops",
        endpoint: "https://s3.eu-central-003.provider-with-a-name.example.org:8443",
        region: "eu-central-003",
        path_style: true,
        ca_file: "/etc/drops/keys/certificate-authority.pem",
      },
    },
    policy: "a-policy-with-quite-a-name",
    signers: [newKey()],
    revoked: [],
    script: "5f".repeat(32),
    identity,
    recipient: await identityToRecipient(identity),
    repositoryId: "0123456789abcdef0123456789abcdef",
    authority: "a7".repeat(32),
    sameDisk: undefined,
    sshKey: "/etc/drops/keys/ssh-key-of-the-backup-host",
    made: "2026-11-24",
    version: "1.2.3",
  };
}

test("the text holds every fact that a recovery needs, on lines of their own", async () => {
  const about = await longest(await generateX25519Identity());
  const text = documentAsText(recoverySheet(about));
  const { store } = about;
  assert.ok("s3" in store);
  const { endpoint = "", region, bucket, prefix } = store.s3;
  for (const [name, value] of [
    ["endpoint", endpoint],
    ["region", region],
    ["bucket", bucket],
    ["prefix", prefix],
    ["repository id", about.repositoryId],
    ["signer", about.signers[0]],
    ["fingerprint", fingerprint(about.signers[0] ?? "")],
    ["recover.sh, SHA-256", about.script],
    ["its public half", about.recipient],
    ["read credential", "at the S3 provider"],
    ["needs", "age 1.1.0 or newer"],
    ["server provider", "____"],
    ["DNS", "____"],
    ["registrar", "____"],
  ])
    assert.match(text, new RegExp(`^${name} {2,}${value?.replaceAll(/[.+]/g, "\\$&")}`, "m"), name);
  assert.match(text, new RegExp(`^ {4}${about.identity}$`, "m"));
  assert.match(text, /SECRET/);
});

test("of several signers each has its fingerprint, and its key in the file that is typed", async () => {
  const [first, second, lost] = [newKey(), newKey(), newKey()];
  const about = {
    ...(await longest(await generateX25519Identity())),
    ...{ signers: [first, second], revoked: [{ key: lost, before: new Date("2026-11-20T00:00:00Z") }] },
  };
  const text = documentAsText(recoverySheet(about));
  for (const key of [first, second])
    assert.match(text, new RegExp(`^signer {2,}${fingerprint(key).replaceAll("+", "\\+")}$`, "m"));
  assert.ok(text.includes(`${fingerprint(lost)}, trusted before 2026-11-20T00:00:00Z\n`));
  const [, typed = ""] = /^( {4}printf [\s\S]*?) {4}SIGNER=signers\.txt$/m.exec(text) ?? [];
  const lines = execFileSync("bash", ["-c", typed.replace("> signers.txt", "")], { encoding: "utf8" });
  assert.equal(lines, `${first}\n${second}\nrevoked 2026-11-20T00:00:00Z ${lost}\n`);
});

test("the command to restore carries the key that the policy logs in with, where it has one", async () => {
  const about = await longest(await generateX25519Identity());
  const typed = (facts: SheetFacts) => documentAsText(recoverySheet(facts)).replaceAll(/\s+/g, " ");
  const { sshKey = "" } = about;
  assert.ok(
    typed(about).includes(`drops restore --date latest --host root@NEW-ADDRESS --ssh-key ${sshKey} --store`),
  );
  assert.doesNotMatch(typed({ ...about, sshKey: undefined }), /--ssh-key/);
});

test("a post-quantum identity needs a newer age", async () => {
  const text = documentAsText(recoverySheet(await longest(await generateHybridIdentity())));
  assert.match(text, /^needs +age 1\.3\.0 or newer/m);
});

describe("on paper", () => {
  let directory = "";
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "drops-sheet-"));
  });
  after(() => rm(directory, { recursive: true, force: true }));

  const gone = { key: newKey(), before: new Date("2026-11-20T12:34:56.789Z") };
  for (const [name, generate, more] of [
    ["an X25519 identity", generateX25519Identity, { signers: [newKey()] }],
    ["a post-quantum identity", generateHybridIdentity, { signers: [newKey()] }],
    [
      "a post-quantum identity, two signers and one that is revoked",
      generateHybridIdentity,
      { signers: [newKey(), newKey()], revoked: [gone] },
    ],
  ] as const)
    test(`${name}: one A4 page, and a scanner reads the identity from it`, async () => {
      const about = { ...(await longest(await generate())), ...more };
      const keys = [...about.signers, ...about.revoked.map(({ key }) => key)].map(
        (key) => key.split(" ")[1] ?? "",
      );
      const page = join(directory, "sheet.html");
      const pdf = join(directory, "sheet.pdf");
      await writeFile(page, documentAsPage(recoverySheet(about), { dense: true }));
      const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"];
      const quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync"];
      const profile = `--user-data-dir=${await mkdtemp(join(directory, "profile-"))}`;
      const print = ["--no-pdf-header-footer", `--print-to-pdf=${pdf}`, `file://${page}`];
      await run("chromium", [...flags, ...quiet, profile, ...print], { timeout: 600_000 });
      const { stdout: info } = await run("pdfinfo", [pdf]);
      assert.match(info, /^Pages: +1$/m);
      assert.match(info, /^Page size: .*\(A4\)$/m);
      await run("pdftoppm", ["-r", "150", "-png", "-singlefile", pdf, join(directory, "sheet")]);
      const { stdout } = await run("zbarimg", ["-q", "--raw", join(directory, "sheet.png")]);
      assert.equal(stdout, `${about.identity}\n`);
      const { stdout: words } = await run("pdftotext", ["-layout", pdf, "-"]);
      for (const wanted of [about.script, ...keys, about.repositoryId ?? ""])
        assert.ok(words.replaceAll(/\s/g, "").includes(wanted), wanted);
    });
});

describe("drops keygen --recovery", () => {
  let site: Site;
  before(async () => {
    site = await openSite();
  });
  after(() => site[Symbol.asyncDispose]());

  test("two files for their owner alone, with the repository's id", async () => {
    const to = join(site.directory, "sheet");
    const { exit, stdout } = await site.drops("keygen", "--recovery", "--to", to);
    assert.equal(exit, 0);
    const repository = JSON.parse(await readFile(join(site.repository, "repository.json"), "utf8"));
    const identity = /AGE-SECRET-KEY-1\w+/.exec(await readFile(site.identity, "utf8"))?.[0] ?? "";
    for (const name of ["recovery-sheet.txt", "recovery-sheet.html"]) {
      assert.equal((await stat(join(to, name))).mode & 0o777, 0o600);
      const text = await readFile(join(to, name), "utf8");
      assert.ok(text.includes(repository.id) && text.includes(identity));
    }
    assert.match(stdout, /has the recovery identity unencrypted/);
    assert.match(stdout, /put the paper into a safe/);
    assert.ok(!stdout.includes(identity));

    const again = await site.drops("keygen", "--recovery", "--to", to);
    assert.equal(again.exit, 22);
    assert.match(again.stderr, /exists already: drops does not overwrite it/);
  });

  test("another identity than the policy's makes no sheet", async () => {
    const other = join(site.directory, "other.txt");
    await writeFile(other, `${await generateX25519Identity()}\n`, { mode: 0o600 });
    const to = join(site.directory, "wrong");
    const { exit, stderr } = await site.drops("keygen", "--recovery", "--identity", other, "--to", to);
    assert.equal(exit, 13);
    assert.match(stderr, /cannot open backups of policy site/);
    await assert.rejects(stat(to), { code: "ENOENT" });
  });

  test("this version's recover.sh is put where it is missing", async () => {
    const objects = await site.objects();
    const script = objects.find((path) => path.endsWith(".sh")) ?? "";
    await rm(script);
    assert.equal((await site.drops("keygen", "--recovery", "--to", join(site.directory, "third"))).exit, 0);
    assert.deepEqual(await site.objects().then((all) => all.filter((path) => path.endsWith(".sh"))), [
      script,
    ]);
  });

  test("a store that does not answer: a sheet without its id, and a note", async () => {
    await site.policy({ store: `{ directory: ${site.directory}/elsewhere }` });
    const to = join(site.directory, "fourth");
    const { exit, stdout } = await site.drops("keygen", "--recovery", "--to", to);
    await site.policy({});
    assert.equal(exit, 0);
    assert.match(stdout, /note: the store was not asked/);
    assert.match(
      await readFile(join(to, "recovery-sheet.txt"), "utf8"),
      /repository id +\(the store did not answer\)/,
    );
  });

  test("a store on the disk that holds the data is told on the sheet, and one elsewhere is not", async () => {
    const sheetInto = async (name: string) => {
      const to = join(site.directory, name);
      assert.equal((await site.drops("keygen", "--recovery", "--to", to)).exit, 0);
      return (await readFile(join(to, "recovery-sheet.txt"), "utf8")).replaceAll(/\s+/g, " ");
    };
    await site.policy({ sources: `  - { name: keys, kind: files, paths: [${site.keys}] }\n` });
    const same = await sheetInto("same");
    await site.policy({});
    assert.match(
      same,
      /WARNING the store \S+ lies on the same disk as \S+: a disk that breaks takes the data and/,
    );
    assert.doesNotMatch(await sheetInto("none"), /same disk/);
  });

  test("--identity without --recovery is refused", async () => {
    const { exit } = await site.drops(
      "keygen",
      "--identity",
      site.identity,
      "--to",
      join(site.directory, "fifth"),
    );
    assert.equal(exit, 2);
  });
});

describe("drops runbook", () => {
  let site: Site;
  before(async () => {
    site = await openSite();
  });
  after(() => site[Symbol.asyncDispose]());

  test("of a policy, and of a store and an identity alone, is the same", async () => {
    const { drops } = await import("../support/in-process.ts");
    const byPolicy = await site.drops("runbook");
    assert.equal(byPolicy.exit, 0, byPolicy.stderr);
    const byStore = await drops(["runbook", "--store", site.repository, "--identity", site.identity]);
    assert.equal(byStore.exit, 0, byStore.stderr);
    assert.equal(byStore.stdout, byPolicy.stdout);
    assert.doesNotMatch(byPolicy.stdout, /AGE-SECRET-KEY-1[A-Z0-9]/);
  });

  test("--html --out writes a page once", async () => {
    const file = join(site.directory, "runbook.html");
    assert.equal((await site.drops("runbook", "--html", "--out", file)).exit, 0);
    assert.match(await readFile(file, "utf8"), /^<!doctype html>/);
    assert.equal((await site.drops("runbook", "--html", "--out", file)).exit, 22);
  });
});
