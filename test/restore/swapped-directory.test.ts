import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, readdirSync, renameSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { openEvidenceDirectory } from "../../src/drill/evidence-directory.ts";
import { Scratch } from "../../src/drill/scratch.ts";
import { openLocalHost } from "../../src/host/local.ts";
import { DropsError } from "../../src/lib/errors.ts";
import { makeKeys } from "../../src/seal/keygen.ts";
import { fixedBytes } from "../support/fixed-bytes.ts";
import { restoring } from "../support/restoring.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { TinyRepository } from "../support/tiny-repository.ts";

// root works in a directory of a user who may rename everything in it at any moment
const MALLORY = 12_345;
const at = await scratchDirectory();
after(() => at[Symbol.asyncDispose]());
chmodSync(at.path, 0o755);
const tiny = await TinyRepository.create();
await tiny.snapshot({
  name: "media",
  entries: [{ path: "file", chunks: await tiny.pack(fixedBytes("x", 3000)) }],
});

/** A directory of Mallory's, one of a victim, and the swap of `out` in the one for a link to the other. */
function place(name: string): { readonly out: string; readonly victim: string; readonly swap: () => void } {
  const home = join(at.path, name);
  const victim = join(at.path, `${name}-victim`);
  for (const path of [home, victim]) mkdirSync(path);
  chownSync(home, MALLORY, MALLORY);
  const out = join(home, "out");
  const swap = () => {
    execFileSync("rm", ["-rf", join(home, "away")]);
    renameSync(out, join(home, "away"));
    symlinkSync(victim, out);
  };
  return { out, victim, swap };
}

const isRefusal = (error: unknown): boolean =>
  error instanceof DropsError && error.code === "safety/refused" && /chown -h root: /.test(error.hint ?? "");

describe("root writes nothing where another user chose", () => {
  test("restore --to, swapped while it is filled", async () => {
    const { out, victim, swap } = place("restore");
    const asked = restoring(tiny, out, {
      onWritten: (done, total) => {
        if (done < total) return;
        swap();
        mkdirSync(join(victim, readdirSync(join(out, "../away"))[0] ?? "")); // the partial directory, as Mallory made it
      },
    });
    await assert.rejects(asked, isRefusal);
    assert.deepEqual(readdirSync(victim), []);
  });

  test("restore --to, a link from the beginning", async () => {
    const { out, victim, swap } = place("linked");
    mkdirSync(out);
    swap();
    await assert.rejects(restoring(tiny, out), isRefusal);
    assert.deepEqual(readdirSync(victim), []);
  });

  test("drill --work", async () => {
    const { out, victim, swap } = place("drill");
    mkdirSync(out);
    swap();
    await using host = await openLocalHost();
    const owner = { uid: 65_534, gid: 65_534 };
    const how = { work: out, keep: true, say: () => {} };
    await assert.rejects(Scratch.make(host, owner, how), isRefusal);
    assert.deepEqual(readdirSync(victim), []);
  });

  test("drill --evidence", async () => {
    const { out, victim, swap } = place("evidence");
    mkdirSync(out);
    swap();
    await assert.rejects(openEvidenceDirectory(out), isRefusal);
    assert.deepEqual(readdirSync(victim), []);
  });

  test("keys", async () => {
    const { out, victim, swap } = place("keys");
    mkdirSync(out);
    swap();
    await assert.rejects(makeKeys(out, { now: new Date() }), isRefusal);
    assert.deepEqual(readdirSync(victim), []);
  });
});
