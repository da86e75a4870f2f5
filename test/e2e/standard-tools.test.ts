/**
 * What is stored opens without a line of our code: these tests make a repository by the real backup, and from then on
 * only run the programs that a stranger would have.
 */
import assert from "node:assert/strict";
import { chmod, mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { SnapshotRecord } from "../../src/snapshot/record.ts";
import { buildHostileTree, changeHostileTree, type Seen, walkTree } from "../support/hostile-tree.ts";
import { partsOf, type Recoverable, type Recovery, recoverable } from "../support/recoverable.ts";
import { runTool } from "../support/scratch.ts";

const SOURCES = `  - { name: files, kind: files, paths: ["@DIR@/tree"] }
  - { name: nothing, kind: files, paths: ["@DIR@/nothing"], optional: true }
  - { name: said, kind: command, argv: [cat, "@DIR@/output"] }
`;
const NOBODY = 65_534;
const MiB = 1024 * 1024;

interface Night {
  readonly record: SnapshotRecord;
  /** Path of the record in the repository. */
  readonly key: string;
  readonly tree: Map<string, Seen>;
}

describe("a repository opens with standard tools alone", () => {
  let of: Recoverable;
  let first: Night;
  let second: Night;

  const night = async (): Promise<Night> => {
    const tree = await walkTree(join(of.rehearsal.directory, "tree"));
    const { record, key } = await of.rehearsal.night();
    assert.equal(record.state, "complete");
    return { record, key, tree };
  };
  const treeIn = (recovered: string) => join(recovered, "files", of.rehearsal.directory, "tree");
  const unseal = (path: string, then: string, ...args: string[]) =>
    of.tools.shell(`age -d -i "$1" "$2" | zstd -d | ${then}`, of.folder, of.identity, path, ...args);

  before(async () => {
    of = await recoverable(SOURCES);
    const tree = join(of.rehearsal.directory, "tree");
    await buildHostileTree(tree);
    await writeFile(join(of.rehearsal.directory, "output"), "said in the first night");
    first = await night();
    await changeHostileTree(tree);
    await writeFile(join(of.rehearsal.directory, "output"), "said in the second night");
    second = await night();
  });
  after(() => of[Symbol.asyncDispose]());

  describe("by hand", () => {
    test("the script in the store has its hash for a name, and the page beside it names that script", async () => {
      const [name = ""] = /[0-9a-f]{64}\.sh$/.exec(of.script) ?? [];
      assert.equal(
        await of.tools.shell('sha256sum "$1" | cut -c1-64', of.folder, of.script),
        `${name.slice(0, 64)}\n`,
      );
      const page = await readFile(join(of.repository, "recovery/README.md"), "utf8");
      assert.ok(page.includes(`bash repository/recovery/${name} `) && !page.includes("@SCRIPT@"));
      const source = new URL("../../src/backup/recover.sh", import.meta.url);
      assert.deepEqual(await readFile(of.script), await readFile(source));
    });

    test("every object has its hash for a name", async () => {
      const find = "find manifests lists packs -type f -printf '%f  %p\\n' | sha256sum --strict -c | wc -l";
      assert.ok(Number(await of.tools.shell(find, of.folder)) >= 10);
    });

    test("sha256sum --strict -c accepts every list, and every pack is in one", async () => {
      const listed = new Set<string>();
      for (const name of await readdir(join(of.folder, "lists"))) {
        const packs = await of.packsIn(`lists/${name}`);
        if (packs.length === 0) continue; // sha256sum wants at least one line
        const said = await of.tools.shell('sha256sum --strict -c "$1"', of.folder, `lists/${name}`);
        assert.equal(said, packs.map((path) => `${path}: OK\n`).join(""));
        for (const path of packs) listed.add(path);
      }
      const stored = await of.tools.shell("find packs -type f | sort", of.folder);
      assert.deepEqual(stored.trimEnd().split("\n"), [...listed].sort());
    });

    test("a manifest is JSON, line by line, as the record says", async () => {
      for (const { name } of second.record.sources) {
        const { manifest } = partsOf(second.record, name);
        const shown = await unseal(manifest, "jq -c '[.drops, .source, .type, .path // .path_b64, .end]'");
        const lines = shown.trimEnd().split("\n");
        const files = second.record.sources.find((source) => source.name === name)?.files ?? -1;
        assert.equal(lines.length, files + 2);
        assert.equal(lines[0], JSON.stringify(["manifest", name, null, null, null]));
        assert.equal(lines.at(-1), JSON.stringify([null, null, null, null, true]));
      }
    });

    test("owners, attributes and 64-bit times survive jq", async () => {
      const find = `jq -r 'select(.path // "" | endswith("/owned")) | .uid, .gid, .xattrs["user.drops"]'`;
      const owner = second.tree.get("owned")?.owner.replace(":", "\n");
      assert.equal(await unseal(partsOf(second.record, "files").manifest, find), `${owner}\nAP8K\n`);
      const times = `jq -r 'select(.path // "" | endswith("/time @4102444800.999999999")) | .mtime'`;
      assert.equal(await unseal(partsOf(second.record, "files").manifest, times), "4102444800999999999\n");
    });

    test("a pack is a tar of chunks that have their hashes for names, and the manifest's chunks are in its packs", async () => {
      const { list, manifest } = partsOf(second.record, "files");
      const chunks = new Set<string>();
      for (const pack of await of.packsIn(list)) {
        const names = (await unseal(pack, "tar -t")).trimEnd().split("\n");
        const into = await runTool("mktemp", "-d", join(of.scratch, "pack-XXXXXX"));
        const directory = into.toString().trimEnd();
        await unseal(pack, 'tar -x -C "$3"', directory);
        const check = "find . -type f -printf '%f  %f\\n' | sort | sha256sum --strict -c";
        const checked = await of.tools.shell(check, directory);
        assert.equal(
          checked,
          [...names]
            .sort()
            .map((name) => `${name}: OK\n`)
            .join(""),
        );
        for (const name of names) chunks.add(name);
      }
      const wanted = await unseal(manifest, "jq -r '.chunks[]? | select(length == 3)[1]' | sort -u");
      for (const id of wanted.trimEnd().split("\n")) assert.ok(chunks.has(id));
    });

    const verify =
      'printf "drops %s\\n" "$1" > "$4/allowed"; ssh-keygen -Y verify -f "$4/allowed" -I drops -n "$2" -s "$3.sig"';
    const signed: readonly { what: string; namespace: string; other: string; path: () => string }[] = [
      {
        what: "repository.json",
        namespace: "drops-repository-v1",
        other: "drops-snapshot-v1",
        path: () => "repository.json",
      },
      {
        what: "a record",
        namespace: "drops-snapshot-v1",
        other: "drops-repository-v1",
        path: () => second.key,
      },
    ];
    for (const { what, namespace, other, path } of signed) {
      test(`ssh-keygen accepts the signature of ${what}, for its namespace and these bytes only`, async () => {
        const bytes = await readFile(join(of.repository, path()));
        const check = (name: string, input: Uint8Array) => {
          const args = [of.rehearsal.signer.publicKey, name, path(), of.scratch];
          return of.tools.run(["bash", "-c", verify, "-", ...args], { cwd: of.repository, input });
        };
        const good = await check(namespace, bytes);
        assert.equal(good.exit, 0);
        assert.match(good.stdout, new RegExp(`^Good "${namespace}" signature for drops with ED25519 key`));
        assert.notEqual((await check(other, bytes)).exit, 0);
        for (const at of [0, bytes.length >> 1, bytes.length - 1]) {
          const flipped = Buffer.from(bytes);
          flipped[at] = (flipped[at] ?? 0) ^ 1;
          assert.notEqual((await check(namespace, flipped)).exit, 0);
        }
      });
    }
  });

  describe("recover.sh", () => {
    test("latest: content, modes, owners, times and links of the hostile tree are the same", async () => {
      const to = of.newPath("out");
      const { exit, stdout, stderr } = await of.recover({ snapshot: "latest", out: to });
      assert.deepEqual(
        { exit, stderr: stderr.replaceAll(to, "OUT") },
        {
          exit: 0,
          stderr: "recover.sh: extended attributes of files were not set; they are in OUT/files.manifest\n",
        },
      );
      assert.match(
        stdout,
        new RegExp(`^recovering rehearsal ${second.record.id}, complete, ended ${second.record.ended}\n`),
      );
      assert.deepEqual(await walkTree(treeIn(to)), second.tree);
      assert.equal(await readFile(join(to, "said/output"), "utf8"), "said in the second night");
      assert.deepEqual((await readdir(to)).sort(), [
        ...["files", "files.manifest", "nothing", "nothing.manifest", "said", "said.manifest"],
      ]);
      const sparse = await stat(join(treeIn(to), "sparse"));
      assert.ok(sparse.blocks * 512 < 4 * MiB, `${sparse.blocks * 512} bytes on disk`);
    });

    test("an id, and one source of it", async () => {
      const to = of.newPath("out");
      assert.equal((await of.recover({ snapshot: first.record.id, out: to, sources: ["files"] })).exit, 0);
      assert.deepEqual((await readdir(to)).sort(), ["files", "files.manifest"]);
      assert.deepEqual(await walkTree(treeIn(to)), first.tree);
    });

    test("a day, and the last complete snapshot of it", async () => {
      const to = of.newPath("out");
      const day = second.record.ended.slice(0, 10);
      assert.equal((await of.recover({ snapshot: day, out: to, sources: ["said"] })).exit, 0);
      assert.equal(await readFile(join(to, "said/output"), "utf8"), "said in the second night");
    });

    test("whoever is not root gets all but the owners", async () => {
      const open = of.newPath("open");
      await mkdir(open);
      await chmod(open, 0o1777); // as /tmp: what others could swap is refused
      const [repository, to] = [join(open, "repository"), join(open, "out")];
      await runTool("cp", "-r", of.repository, repository);
      await runTool("chmod", "-R", "a+rX", repository, of.identity);
      const script = of.script.replace(of.repository, repository);
      const user = process.getuid?.() === 0 ? { user: NOBODY } : {};
      const answer = await of.recover({ snapshot: "latest", out: to, repository, script, ...user });
      assert.equal(answer.exit, 0, answer.stderr);
      const withoutOwner = (tree: Map<string, Seen>) =>
        new Map([...tree].map(([name, seen]) => [name, { ...seen, owner: "" }]));
      assert.deepEqual(withoutOwner(await walkTree(treeIn(to))), withoutOwner(second.tree));
    });

    const misuse: readonly { name: string; how: (to: string) => Recovery; says: RegExp }[] = [
      {
        name: "no such day",
        how: (to) => ({ snapshot: "2001-01-01", out: to }),
        says: /no snapshot for 2001-01-01/,
      },
      {
        name: "no such id",
        how: (to) => ({ snapshot: "0123456789abcdef", out: to }),
        says: /no snapshot for 0123/,
      },
      {
        name: "no such policy",
        how: (to) => ({ snapshot: "latest", policy: "other", out: to }),
        says: /no snapshots below/,
      },
      {
        name: "a policy that is a path",
        how: (to) => ({ snapshot: "latest", policy: "../x", out: to }),
        says: /not a policy name/,
      },
      {
        name: "no such source",
        how: (to) => ({ snapshot: "latest", out: to, sources: ["other"] }),
        says: /holds nothing of source other/,
      },
      {
        name: "a source that is a path",
        how: (to) => ({ snapshot: "latest", out: to, sources: ["../x"] }),
        says: /not a source name/,
      },
      {
        name: "no key for the signer",
        how: (to) => ({ snapshot: "latest", out: to, signer: "nobody" }),
        says: /SIGNER is a line/,
      },
      {
        name: "a signer with options",
        how: (to) => ({ snapshot: "latest", out: to, signer: "*\ndrops ssh-ed25519 AAAA" }),
        says: /SIGNER is a line/,
      },
    ];
    for (const { name, how, says } of misuse) {
      test(`${name} is said, and nothing is left`, async () => {
        const to = of.newPath("out");
        const { exit, stderr } = await of.recover(how(to));
        assert.equal(exit, 1);
        assert.match(stderr, says);
        await assert.rejects(stat(to), { code: "ENOENT" });
      });
    }

    test("what is there is not written over", async () => {
      const to = of.newPath("out");
      await mkdir(to);
      const { exit, stderr } = await of.recover({ snapshot: "latest", out: to });
      assert.equal(exit, 1);
      assert.match(stderr, /exists already/);
      assert.deepEqual(await readdir(to), []);
    });

    test("no arguments: how to use it", async () => {
      const { exit, stderr } = await of.tools.run(["bash", of.script], { cwd: of.scratch });
      assert.equal(exit, 2);
      assert.match(stderr, /recover\.sh \[OPTION\.\.\.\] REPOSITORY POLICY SNAPSHOT IDENTITY SIGNER OUT/);
      assert.match(stderr, /room for the data twice\n[\s\S]*--postgres-user U .*such as postgres\n$/);
    });
  });
});
