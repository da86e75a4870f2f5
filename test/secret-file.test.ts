import assert from "node:assert/strict";
import { chmod, chown, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { DropsError } from "../src/lib/errors.ts";
import { readSecretFile } from "../src/lib/secret-file.ts";

if (process.getuid?.() !== 0) throw new Error("run the tests as root: files of several owners are made");
const scratch = await mkdtemp(join(tmpdir(), "drops-secret-"));
await chmod(scratch, 0o755);
after(() => rm(scratch, { recursive: true }));
const [ROOT, SERVICE, OTHER] = [0, 65_534, 4711];

const table: readonly {
  readonly owner: number;
  readonly reader: number;
  readonly taken: readonly number[];
  readonly open: readonly number[];
  readonly strange?: readonly number[];
}[] = [
  { owner: ROOT, reader: ROOT, taken: [0o600, 0o400], open: [0o640, 0o620, 0o604, 0o644, 0o601] },
  { owner: SERVICE, reader: SERVICE, taken: [0o600, 0o400], open: [0o640, 0o604, 0o666] },
  // the group is root's here, so it is not by the group that the service reads what it may
  { owner: SERVICE, reader: ROOT, taken: [0o600, 0o640], open: [0o604, 0o644] },
  { owner: ROOT, reader: SERVICE, taken: [0o640, 0o440], open: [0o644, 0o646] },
  { owner: OTHER, reader: SERVICE, taken: [], open: [0o644], strange: [0o640] },
];

for (const { owner, reader, taken, open, strange = [] } of table) {
  test(`a secret of user ${owner}, read by user ${reader}`, async () => {
    const outcome = async (mode: number): Promise<string> => {
      const path = join(scratch, `${owner}-${reader}-${mode.toString(8)}`);
      await writeFile(path, "secret");
      await chown(path, owner, SERVICE);
      await chmod(path, mode);
      return as(reader, async () => {
        try {
          return await readSecretFile(path, "SSH key");
        } catch (error) {
          assert.ok(error instanceof DropsError && error.code === "key/wrong", String(error));
          return `${error.message.replace(path, "FILE")}; ${error.hint?.replaceAll(path, "FILE")}`;
        }
      });
    };
    for (const mode of taken) assert.equal(await outcome(mode), "secret", mode.toString(8));
    for (const mode of open)
      assert.equal(await outcome(mode), "SSH key FILE is open to other users; chmod 600 FILE");
    for (const mode of strange) assert.match(await outcome(mode), /^SSH key FILE belongs to another user/);
  });
}

test("a failure is told with the code of whoever asks, and a pipe or a device has an end", async () => {
  const failure = (path: string) =>
    assert.rejects(readSecretFile(path, "address file", "notify/refused"), (error) => {
      return error instanceof DropsError && error.code === "notify/refused" && error.hint !== "";
    });
  await failure(join(scratch, "none"));
  await failure(scratch);
  await failure("/dev/zero");
});

/** With that user's rights. The threads that read files have them too. */
async function as<T>(user: number, work: () => Promise<T>): Promise<T> {
  const groups = process.getgroups?.() ?? [];
  process.setgroups?.(user === ROOT ? groups : [user]);
  process.setegid?.(user);
  process.seteuid?.(user);
  try {
    return await work();
  } finally {
    process.seteuid?.(ROOT);
    process.setegid?.(ROOT);
    process.setgroups?.(groups);
  }
}
