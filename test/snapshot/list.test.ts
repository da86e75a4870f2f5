import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { hash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import test from "node:test";
import { isFailure } from "../../src/lib/errors.ts";
import { decodeList, encodeList } from "../../src/snapshot/list.ts";

const packs = ["one", "two"].map((content) => ({
  sha256: hash("sha256", content, "hex"),
  size: content.length,
}));

test("a list comes back as it was", () => {
  assert.deepEqual(decodeList(encodeList(packs), "l"), packs);
  assert.deepEqual(decodeList(encodeList([]), "l"), []);
});

test("sha256sum -c reads a list, and finds a damaged pack", () => {
  const directory = mkdtempSync(join(tmpdir(), "drops-list-"));
  try {
    for (const [index, { sha256 }] of packs.entries()) {
      const file = join(directory, "packs", sha256.slice(0, 2), sha256);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, index === 0 ? "one" : "two");
    }
    writeFileSync(join(directory, "list"), encodeList(packs));
    const check = () =>
      execFileSync("sha256sum", ["--strict", "-c", "list"], { cwd: directory, stdio: "pipe" });
    assert.match(check().toString(), /^packs\/.*: OK\npacks\/.*: OK\n$/);
    const [first] = packs;
    writeFileSync(join(directory, "packs", first?.sha256.slice(0, 2) ?? "", first?.sha256 ?? ""), "eno");
    assert.throws(check);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

const text = encodeList(packs).toString();
const hostile: readonly { name: string; bytes: string }[] = [
  { name: "another title", bytes: text.replace("v1", "v2") },
  { name: "cut in the middle of a line", bytes: text.slice(0, -10) },
  { name: "without the last newline", bytes: text.slice(0, -1) },
  { name: "a pack without its size", bytes: text.replace(/# 3\n/, "") },
  { name: "a size in another spelling", bytes: text.replace("# 3\n", "# 03\n") },
  { name: "a path that is not the pack's", bytes: text.replace(/packs\/../, "packs/zz") },
  { name: "a path out of the folder", bytes: text.replace("  packs/", "  ../packs/") },
  { name: "a folder that is not the pack's", bytes: text.replace(/packs\/../, "packs/00") },
  { name: "a pack under another's name", bytes: text.replace(/[0-9a-f]{64}\n/, `${"0".repeat(64)}\n`) },
  { name: "over a million packs", bytes: text + "\n".repeat(2_000_000) },
  { name: "nothing", bytes: "" },
];
for (const { name, bytes } of hostile) {
  test(`refused: ${name}`, () => {
    assert.notEqual(bytes, text);
    assert.throws(
      () => decodeList(Buffer.from(bytes), "l"),
      (error) => isFailure(error, "data/damaged"),
    );
  });
}
