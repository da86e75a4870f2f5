/**
 * recover.sh believes nothing, neither from a directory nor from a bucket: what was tampered with is refused, and nothing is
 * written outside the directory it was given.
 */
import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { mkdir, readFile, rename, rm, stat, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { RunResult } from "../../src/backup/snapshot-run.ts";
import { newSigningKey } from "../../src/seal/keygen.ts";
import { SNAPSHOT_NAMESPACE, signerFromText } from "../../src/seal/sshsig.ts";
import { type Bucket, openBucket } from "../support/bucket.ts";
import { type Forgery, forgeSnapshot } from "../support/forgery.ts";
import { type Seen, walkTree } from "../support/hostile-tree.ts";
import { partsOf, type Recoverable, type Recovery, recoverable } from "../support/recoverable.ts";
import { startS3, type TestS3 } from "../support/s3.ts";
import { runTool, scratchDirectory } from "../support/scratch.ts";
import type { Answer } from "../support/standard-tools.ts";

const SOURCES = `  - { name: files, kind: files, paths: ["@DIR@/tree"] }
  - { name: nothing, kind: files, paths: ["@DIR@/nothing"], optional: true }
  - { name: said, kind: command, argv: [cat, "@DIR@/output"] }
`;

for (const place of ["a directory", "S3"] as const)
  describe(`recover.sh, from ${place}`, () => {
    let of: Recoverable;
    let bucket: Bucket | undefined;
    let s3: TestS3 | undefined;
    let first: RunResult;
    let second: RunResult;

    /** As `of.recover`, from a bucket with the same objects when that is the place. */
    const recover = async (how: Recovery): Promise<Answer> => {
      if (!bucket) return of.recover(how);
      const { options, env } = bucket;
      const cache = of.newPath("cache");
      const repository = await bucket.upload(how.repository ?? of.repository);
      return of.recover({ ...how, repository, env, options: [...options, "--cache", cache] });
    };

    before(async () => {
      of = await recoverable(SOURCES, place === "S3" ? { curl: ["curl"] } : {});
      if (place === "S3") {
        s3 = await startS3();
        bucket = await openBucket(s3);
      }
      const { directory } = of.rehearsal;
      await mkdir(join(directory, "tree"));
      await writeFile(join(directory, "tree/file"), "a file");
      await writeFile(join(directory, "output"), "said in the first night");
      first = await of.rehearsal.night();
      await writeFile(join(directory, "tree/file"), "another content");
      await writeFile(join(directory, "output"), "said in the second night");
      second = await of.rehearsal.night();
    });
    after(async () => {
      await bucket?.[Symbol.asyncDispose]();
      await s3?.[Symbol.asyncDispose]();
      await of[Symbol.asyncDispose]();
    });

    describe("refuses what was tampered with", () => {
      const flip = async (path: string, at = 0.5) => {
        const bytes = await readFile(path);
        const index = Math.floor(bytes.length * at);
        bytes[index] = (bytes[index] ?? 0) ^ 1;
        await replace(path, bytes);
      };
      /** The copy has hard links to the objects of the original: a new file, not the old one's content. */
      const replace = async (path: string, bytes: string | Uint8Array) => {
        await rm(path, { force: true });
        await writeFile(path, bytes);
      };
      const stranger = () => signerFromText(newSigningKey("a stranger").privateKey, "a stranger's key");

      const table: readonly {
        name: string;
        /** Alters a copy of the repository. */
        tamper: (copy: string) => Promise<unknown>;
        how?: Partial<Recovery>;
        says: RegExp;
        /** What is fetched is looked at as it comes, so the words are others. */
        fromS3?: RegExp;
      }[] = [
        {
          name: "a damaged pack",
          tamper: async (copy) => {
            const [pack = ""] = await of.packsIn(partsOf(second.record, "files").list);
            await flip(join(copy, "rehearsal", pack));
          },
          says: /packs\/[0-9a-f/]+: FAILED\n.*\n?.*a pack is damaged or missing/,
          fromS3: /damaged or missing in the bucket, or out of reach: rehearsal\/packs\//,
        },
        {
          name: "a missing pack",
          tamper: async (copy) => {
            const [pack = ""] = await of.packsIn(partsOf(second.record, "files").list);
            await rm(join(copy, "rehearsal", pack));
          },
          says: /a pack is damaged or missing/,
          fromS3: /damaged or missing in the bucket, or out of reach: rehearsal\/packs\//,
        },
        {
          name: "another valid pack under the name",
          tamper: async (copy) => {
            const [pack = ""] = await of.packsIn(partsOf(second.record, "files").list);
            const [other = ""] = await of.packsIn(partsOf(second.record, "said").list);
            await replace(join(copy, "rehearsal", pack), await readFile(join(of.folder, other)));
          },
          says: /a pack is damaged or missing/,
          fromS3: /damaged or missing in the bucket, or out of reach: rehearsal\/packs\//,
        },
        {
          name: "the list of another source",
          tamper: async (copy) => {
            const list = await readFile(join(of.folder, partsOf(second.record, "said").list));
            await replace(join(copy, "rehearsal", partsOf(second.record, "files").list), list);
          },
          says: /list [0-9a-f]+ does not hold the bytes that its name promises/,
          fromS3: /damaged or missing in the bucket, or out of reach: rehearsal\/lists\//,
        },
        {
          name: "the manifest of another night",
          tamper: async (copy) => {
            const manifest = await readFile(join(of.folder, partsOf(first.record, "files").manifest));
            await replace(join(copy, "rehearsal", partsOf(second.record, "files").manifest), manifest);
          },
          says: /manifest [0-9a-f]+ does not hold the bytes that its name promises/,
          fromS3: /damaged or missing in the bucket, or out of reach: rehearsal\/manifests\//,
        },
        {
          name: "a manifest that was cut short",
          tamper: async (copy) => {
            const path = join(copy, "rehearsal", partsOf(second.record, "files").manifest);
            const manifest = await readFile(path);
            await replace(path, manifest.subarray(0, -1));
          },
          says: /manifest [0-9a-f]+ does not hold the bytes that its name promises/,
          fromS3: /damaged or missing in the bucket, or out of reach: rehearsal\/manifests\//,
        },
        {
          name: "a record with one byte changed",
          tamper: (copy) => flip(join(copy, second.key)),
          says: /not signed by a trusted key/,
        },
        {
          name: "a record that was cut short",
          tamper: async (copy) =>
            replace(join(copy, second.key), (await readFile(join(copy, second.key))).subarray(0, -1)),
          says: /not signed by a trusted key/,
        },
        {
          name: "an unsigned record",
          tamper: (copy) => rm(join(copy, `${second.key}.sig`)),
          says: /not signed by a trusted key/,
        },
        {
          name: "a forged signature",
          tamper: (copy) => flip(join(copy, `${second.key}.sig`)),
          says: /not signed by a trusted key/,
        },
        {
          name: "a record that a stranger signed",
          tamper: async (copy) => {
            const bytes = await readFile(join(copy, second.key));
            await replace(join(copy, `${second.key}.sig`), stranger().sign(SNAPSHOT_NAMESPACE, bytes));
          },
          says: /not signed by a trusted key/,
        },
        {
          name: "a record that was signed for another purpose",
          tamper: async (copy) => {
            const bytes = await readFile(join(copy, second.key));
            await replace(
              join(copy, `${second.key}.sig`),
              of.rehearsal.signer.sign("drops-repository-v1", bytes),
            );
          },
          says: /not signed by a trusted key/,
        },
        {
          name: "a record under another id",
          tamper: async (copy) => {
            const key = second.key.replace(second.record.id, "0123456789abcdef");
            for (const end of ["", ".sig"])
              await replace(join(copy, key + end), await readFile(join(copy, second.key + end)));
          },
          how: { snapshot: "0123456789abcdef" },
          says: /made for another place/,
        },
        {
          name: "an old record under a new date",
          tamper: async (copy) => {
            const key = first.key.replace(/\d{8}T\d{6}Z/, "20991231T235959Z");
            for (const end of ["", ".sig"])
              await replace(join(copy, key + end), await readFile(join(copy, first.key + end)));
          },
          how: { snapshot: "2099-12-31" },
          says: /made for another place/,
        },
        {
          name: "a record of another policy",
          tamper: async (copy) => {
            await runTool("cp", "-r", join(copy, "rehearsal"), join(copy, "other"));
          },
          how: { policy: "other" },
          says: /made for another place/,
        },
        {
          name: "records of another repository of the same signer",
          tamper: async (copy) => {
            const text = await readFile(join(copy, "repository.json"), "utf8");
            const other = Buffer.from(text.replace(/"id": "[0-9a-f]+"/, `"id": "${"0".repeat(32)}"`));
            await replace(join(copy, "repository.json"), other);
            await replace(
              join(copy, "repository.json.sig"),
              of.rehearsal.signer.sign("drops-repository-v1", other),
            );
          },
          says: /made for another place/,
        },
        {
          name: "a changed repository.json",
          tamper: (copy) => flip(join(copy, "repository.json")),
          says: /repository\.json is not signed/,
        },
        {
          name: "an unsigned repository.json",
          tamper: (copy) => rm(join(copy, "repository.json.sig")),
          says: /repository\.json is not signed/,
          fromS3: /damaged or missing in the bucket, or out of reach: repository\.json\.sig/,
        },
        {
          name: "a repository of a later format",
          tamper: async (copy) => {
            const text = await readFile(join(copy, "repository.json"), "utf8");
            const other = Buffer.from(text.replace('"format": 1', '"format": 2'));
            await replace(join(copy, "repository.json"), other);
            await replace(
              join(copy, "repository.json.sig"),
              of.rehearsal.signer.sign("drops-repository-v1", other),
            );
          },
          says: /reads format 1 only/,
        },
        {
          name: "another signer than the one on the sheet",
          tamper: async () => {},
          how: { signer: stranger().publicKey },
          says: /not signed by a trusted key/,
        },
      ];
      if (place === "a directory")
        test("a list and a manifest that are swapped once they were checked", async () => {
          const [old, now] = [partsOf(first.record, "said"), partsOf(second.record, "said")];
          const box = of.newPath("swapped");
          await mkdir(join(box, "bin"), { recursive: true });
          await runTool("cp", "-rl", of.repository, join(box, "repository"));
          const theirs = join(box, "repository/rehearsal");
          const swaps = [old.list, now.list, old.manifest, now.manifest].map((name) => join(theirs, name));
          // age is what opens a manifest that was checked
          const age = `#!/bin/sh\ncp --remove-destination ${swaps[0]} ${swaps[1]}; cp --remove-destination ${swaps[2]} ${swaps[3]}
PATH=\${PATH#*:}; exec age "$@"\n`;
          await writeFile(join(box, "bin/age"), age, { mode: 0o755 });
          const env = { PATH: `${join(box, "bin")}:${join(of.scratch, "bin")}` };
          const how = { snapshot: second.record.id, out: join(box, "out"), sources: ["said"], env };
          const { exit, stderr } = await recover({ repository: join(box, "repository"), ...how });
          assert.equal(exit, 0, stderr);
          assert.equal(await readFile(join(box, "out/said/output"), "utf8"), "said in the second night");
        });

      for (const { name, tamper, how, says, fromS3 } of table) {
        test(name, async () => {
          const box = of.newPath("tampered");
          const copy = join(box, "repository");
          await mkdir(box);
          await runTool("cp", "-rl", of.repository, copy);
          await tamper(copy);
          const before = await walkTree(box);
          const { exit, stderr } = await recover({
            repository: copy,
            snapshot: second.record.id,
            out: join(box, "out"),
            sources: ["files"],
            ...how,
          });
          assert.equal(exit, 1, stderr);
          assert.match(stderr, place === "S3" ? (fromS3 ?? says) : says);
          assert.deepEqual(withoutTimes(await walkTree(box)), withoutTimes(before));
        });
      }

      // what is read from a directory is plain and of the size that is expected: a device has no end, and a pipe no beginning
      const endless: readonly { name: string; put: (path: string) => Promise<unknown> }[] = [
        { name: "a link to a device", put: (path) => symlink("/dev/zero", path) },
        { name: "a pipe", put: (path) => runTool("mkfifo", path) },
        {
          name: "a hole of 16 TiB",
          put: async (path) => {
            await writeFile(path, "");
            await truncate(path, 2 ** 43);
          },
        },
        {
          name: "a link to what it should be",
          put: async (path) => {
            await rename(`${path}.was`, `${path}.aside`);
            await symlink(`${path}.aside`, path);
          },
        },
      ];
      const places: readonly { what: string; path: () => Promise<string>; says: RegExp }[] = [
        {
          what: "repository.json",
          path: async () => "repository.json",
          says: /repository\.json is no plain file/,
        },
        {
          what: "the signature of repository.json",
          path: async () => "repository.json.sig",
          says: /repository\.json is not signed/,
        },
        { what: "the record", path: async () => second.key, says: /ignored, no plain file of at most 8 MiB/ },
        { what: "its signature", path: async () => `${second.key}.sig`, says: /ignored, not signed/ },
        {
          what: "a list",
          path: async () => `rehearsal/${partsOf(second.record, "files").list}`,
          says: /list [0-9a-f]+ (is missing, or no plain file|does not hold)/,
        },
        {
          what: "a manifest",
          path: async () => `rehearsal/${partsOf(second.record, "files").manifest}`,
          says: /manifest [0-9a-f]+ (is missing, or no plain file|does not hold)/,
        },
        {
          what: "a pack",
          path: async () => `rehearsal/${(await of.packsIn(partsOf(second.record, "files").list))[0]}`,
          says: /a pack is damaged or missing: regular file \d+ {2}packs/,
        },
      ];
      if (place === "a directory")
        for (const { what, path, says } of places)
          test(`${what} that is no plain file, or of another size, is not read`, {
            timeout: 600_000,
          }, async () => {
            for (const { name, put } of endless) {
              const box = of.newPath("endless");
              const copy = join(box, "repository");
              await mkdir(box);
              await runTool("cp", "-rl", of.repository, copy);
              const at = join(copy, await path());
              await rename(at, `${at}.was`);
              await put(at);
              const out = join(box, "out");
              const { exit, stderr } = await recover({
                repository: copy,
                snapshot: second.record.id,
                out,
                sources: ["files"],
              });
              assert.equal(exit, 1, `${name}: ${stderr}`);
              assert.match(stderr, says, name);
              await assert.rejects(stat(out), { code: "ENOENT" });
            }
          });

      test("a withdrawal that is a link to a device is not read", { timeout: 600_000 }, async () => {
        const copy = of.newPath("withdrawn");
        await runTool("cp", "-rl", of.repository, copy);
        const note = join(copy, `rehearsal/withdrawn/${second.record.id}.json`);
        await mkdir(join(copy, "rehearsal/withdrawn"));
        await symlink("/dev/zero", note);
        await writeFile(`${note}.sig`, await readFile(join(copy, `${second.key}.sig`)));
        const to = of.newPath("out");
        const { exit, stderr } = await of.recover({
          repository: copy,
          snapshot: second.record.id,
          out: to,
          sources: ["said"],
        });
        assert.equal(exit, 0, stderr);
        assert.match(stderr, /a note withdraws [0-9a-f]+, and no key that is known here signed it/);
      });

      test("latest passes over a record that cannot be believed, and says so", async () => {
        const copy = of.newPath("tampered");
        await runTool("cp", "-rl", of.repository, copy);
        await flip(join(copy, second.key));
        const to = of.newPath("out");
        const { exit, stderr } = await recover({
          repository: copy,
          snapshot: "latest",
          out: to,
          sources: ["said"],
        });
        assert.equal(exit, 0);
        assert.match(stderr, /ignored, not signed by a trusted key: .*json/);
        assert.equal(await readFile(join(to, "said/output"), "utf8"), "said in the first night");
      });
    });

    describe("refuses what a thief of the signing key would write", () => {
      const common = { mode: "0644", uid: 0, gid: 0, mtime: "0", size: "0" };
      const file = (path: string, more = {}) => ({ path, type: "file", ...common, chunks: [], ...more });
      const symlink = (path: string, target: string) => ({ path, type: "symlink", ...common, target });
      const hardlink = (path: string, target: string) => ({ path, type: "hardlink", ...common, target });
      const base64 = (text: string) => Buffer.from(text).toString("base64");
      /** From the place where the script builds the tree to beside OUT. */
      const UP = "../../../outside";
      const content = Buffer.from("a chunk");
      const id = hash("sha256", content, "hex");
      const tarOf = async (name: string, as: string, make: (path: string) => Promise<unknown>) => {
        const from = await scratchDirectory();
        await make(join(from.path, name));
        const transform = `flags=r;s,^${name}$,${as},`;
        const tar = await runTool("tar", "-C", from.path, "-cP", "--transform", transform, name);
        await from[Symbol.asyncDispose]();
        return tar;
      };

      const table: readonly {
        name: string;
        forge: (box: string) => Promise<Partial<Forgery>> | Partial<Forgery>;
        says: RegExp;
      }[] = [
        {
          name: "a path upwards",
          forge: () => ({ entries: [file(`${UP}/evil`)] }),
          says: /leaves its directory/,
        },
        {
          name: "a path upwards from below",
          forge: () => ({ entries: [file(`a/../../${UP}/evil`)] }),
          says: /leaves its directory/,
        },
        {
          name: "an absolute path",
          forge: (box) => ({ entries: [file(`${box}/outside/evil`)] }),
          says: /leaves its directory/,
        },
        {
          name: "a path upwards in base64",
          forge: () => ({ entries: [{ ...file(""), path: undefined, path_b64: base64(`${UP}/evil`) }] }),
          says: /leaves its directory/,
        },
        {
          name: "a directory upwards",
          forge: () => ({ entries: [{ ...common, path: UP, type: "dir" }] }),
          says: /leaves its directory/,
        },
        {
          name: "a path with NUL",
          forge: () => ({ entries: [file(`.\0./${UP}/evil`)] }),
          says: /cannot be one/,
        },
        {
          name: "a path with NUL in base64",
          forge: () => ({ entries: [{ ...file(""), path: undefined, path_b64: base64(`.\0./${UP}/evil`) }] }),
          says: /cannot be one/,
        },
        {
          name: "base64 that is none",
          forge: () => ({ entries: [{ ...file(""), path: undefined, path_b64: "Li4vLg=" }] }),
          says: /cannot be one/,
        },
        {
          name: "no path",
          forge: () => ({ entries: [{ ...file(""), path: undefined }] }),
          says: /is malformed/,
        },
        { name: "an empty path", forge: () => ({ entries: [file("")] }), says: /is malformed/ },
        {
          name: "a file through a symlink",
          forge: () => ({ entries: [symlink("x", UP), file("x/evil")] }),
          says: /File exists/,
        },
        {
          name: "a symlink through a symlink",
          forge: () => ({ entries: [symlink("x", UP), symlink("x/evil", "y")] }),
          says: /File exists/,
        },
        {
          name: "a hard link through a symlink",
          forge: () => ({ entries: [file("a"), symlink("x", UP), hardlink("x/evil", "a")] }),
          says: /File exists/,
        },
        {
          name: "a directory in a symlink's place",
          forge: () => ({ entries: [symlink("x", UP), { ...common, path: "x", type: "dir" }] }),
          says: /out of order/,
        },
        {
          name: "a hard link to what lies outside",
          forge: () => ({ entries: [hardlink("x", `${UP}/secret`)] }),
          says: /leads to no file of it/,
        },
        {
          name: "a hard link to what a symlink leads to",
          forge: () => ({ entries: [symlink("a", UP), hardlink("x", "a/secret")] }),
          says: /leads to no file of it/,
        },
        { name: "a name twice", forge: () => ({ entries: [file("a"), file("a")] }), says: /out of order/ },
        {
          name: "entries out of order",
          forge: () => ({ entries: [file("b"), file("a")] }),
          says: /out of order/,
        },
        {
          name: "a field that holds other fields",
          forge: () => ({ entries: [{ ...file("a"), mode: "0644 0 0 0 0 - u:x -" }] }),
          says: /is malformed/,
        },
        {
          name: "a field that holds another line",
          forge: () => ({ entries: [{ ...file("a"), mode: "0644 0 0 0 0 - u:x -\nfile 0644" }] }),
          says: /is malformed/,
        },
        {
          name: "an unknown type",
          forge: () => ({ entries: [{ ...file("a"), type: "device" }] }),
          says: /is malformed/,
        },
        {
          name: "a mode that is an option",
          forge: () => ({ entries: [{ ...file("a"), mode: "--reference=/etc/shadow" }] }),
          says: /is malformed/,
        },
        {
          name: "a chunk that is a path",
          forge: () => ({ entries: [file("a", { size: "6", chunks: [[0, "../../../outside/secret", 6]] })] }),
          says: /is malformed/,
        },
        {
          name: "a chunk that is in no pack",
          forge: () => ({ entries: [file("a", { size: "6", chunks: [[0, id, 6]] })] }),
          says: /a chunk of nothing is missing or has another size/,
        },
        {
          name: "another size",
          forge: async () => ({
            entries: [file("a", { size: "6", chunks: [[0, id, 6]] })],
            packs: [await tarOf("c", id, (path) => writeFile(path, content))],
          }),
          says: /a chunk of nothing is missing or has another size/,
        },
        {
          name: "a size that its chunks do not add up to",
          forge: () => ({ entries: [file("a", { size: "6" })] }),
          says: /is malformed/,
        },
        {
          name: "a chunk that does not match its name",
          forge: async () => ({
            entries: [],
            packs: [await tarOf("c", id, (path) => writeFile(path, "another"))],
          }),
          says: /does not match its name/,
        },
        {
          name: "a chunk that leaves its directory",
          forge: async () => ({
            entries: [],
            packs: [await tarOf("c", `${UP}/evil`, (path) => writeFile(path, content))],
          }),
          says: /cannot be opened/,
        },
        {
          name: "a chunk that is a symlink",
          forge: async (box) => ({
            entries: [file("a", { size: "6", chunks: [[0, id, 6]] })],
            packs: [await tarOf("c", id, (path) => runTool("ln", "-s", `${box}/outside/secret`, path))],
          }),
          says: /something else than chunks/,
        },
        {
          name: "a pack that is no tar",
          forge: () => ({ entries: [], packs: [Buffer.alloc(4096, "x")] }),
          says: /cannot be opened/,
        },
        {
          name: "a list that names one pack and means another",
          forge: async () => ({
            entries: [],
            packs: [await tarOf("c", id, (path) => writeFile(path, content))],
            list: (text) => text.replace(/packs\/../, "packs/00/.."),
          }),
          says: /a list is malformed/,
        },
        {
          name: "the manifest of another source",
          forge: () => ({ entries: [], head: { source: "files" } }),
          says: /is that of another source/,
        },
        {
          name: "a manifest that ends too early",
          forge: () => ({ entries: [file("a")], end: { entries: 2 } }),
          says: /is cut short/,
        },
        {
          name: "a manifest whose lines were changed",
          forge: () => ({ entries: [file("a")], end: { sha256: id } }),
          says: /is cut short/,
        },
      ];
      for (const { name, forge, says } of table) {
        test(name, async () => {
          const box = of.newPath("forged");
          await mkdir(join(box, "outside"), { recursive: true });
          await writeFile(join(box, "outside/secret"), "secret");
          const forged = await forgeSnapshot(of.rehearsal, second.record, {
            source: "nothing",
            entries: [],
            ...(await forge(box)),
          });
          const before = await walkTree(box);
          const { exit, stderr } = await recover({
            snapshot: forged.record.id,
            out: join(box, "out"),
            sources: ["nothing"],
          });
          assert.equal(exit, 1, stderr);
          assert.match(stderr, says);
          assert.deepEqual(withoutTimes(await walkTree(box)), withoutTimes(before));
          for (const end of ["", ".sig"]) await rm(join(of.repository, forged.key + end)); // latest stays what it was
        });
      }

      test("the same forge makes what is accepted when nothing is wrong with it", async () => {
        const tar = await tarOf("c", id, (path) => writeFile(path, content));
        const many = Array.from({ length: 1100 }, () => [0, id, content.length]); // more than one command line takes
        const entries = [
          { ...common, path: "a", type: "dir", mode: "0700" },
          file("a/many", { size: String(1100 * content.length), chunks: many }),
          file("a/sparse", { size: "14", chunks: many.slice(0, 2), sparse: true }),
          file("a/sparse and empty", { sparse: true }),
          symlink("c", "../outside"),
          hardlink("d", "c"),
        ];
        // The chunk is in two packs.
        const forged = await forgeSnapshot(of.rehearsal, second.record, {
          source: "nothing",
          entries,
          packs: [tar, tar],
        });
        const to = of.newPath("out");
        const { exit, stderr } = await recover({
          snapshot: forged.record.id,
          out: to,
          sources: ["nothing"],
        });
        assert.equal(exit, 0, stderr);
        const held = (times: number) => hash("sha256", content.toString().repeat(times), "hex");
        assert.deepEqual(
          [...(await walkTree(join(to, "nothing")))].map(([path, seen]) => [path, seen.type, seen.content]),
          [
            ["", "dir", undefined],
            ["a", "dir", undefined],
            ["a/many", "file", held(1100)],
            ["a/sparse", "file", held(2)],
            ["a/sparse and empty", "file", held(0)],
            ["c", "symlink", "../outside"],
            ["d", "symlink", "../outside"],
          ],
        );
        for (const end of ["", ".sig"]) await rm(join(of.repository, forged.key + end));
      });
    });
  });

/** A directory in which something was made and removed again has another time. */
function withoutTimes(tree: Map<string, Seen>): Map<string, Omit<Seen, "mtime">> {
  return new Map([...tree].map(([name, { mtime: _, ...seen }]) => [name, seen]));
}
