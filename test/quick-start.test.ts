import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { quote } from "../src/host/quote.ts";
import { scratchDirectory } from "./support/scratch.ts";

const root = new URL("../", import.meta.url).pathname;

test("the quick start does what it says, line by line", async () => {
  const page = await readFile(join(root, "docs/quick-start.md"), "utf8");
  const blocks = [...page.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, lines = ""]) => lines);
  assert.equal(blocks.length, 5);
  await using home = await scratchDirectory();
  const main = join(root, "src/main.ts");
  await writeFile(
    join(home.path, "drops"),
    `#!/bin/sh\nexec ${quote(process.execPath)} ${quote(main)} "$@"\n`,
    { mode: 0o755 },
  );
  const { exit, stdout, stderr } = await new Promise<Record<"exit" | "stdout" | "stderr", unknown>>(
    (resolve) => {
      const env = { PATH: `${home.path}:${process.env["PATH"]}`, HOME: home.path };
      execFile("sh", ["-euc", blocks.join("\n")], { env }, (error, stdout, stderr) =>
        resolve({ exit: error?.code ?? 0, stdout, stderr }),
      );
    },
  );
  assert.equal(exit, 0, `${stdout}\n${stderr}`);
  const states = [...String(stdout).matchAll(/^try in \S+, .*: ([A-Z]+)$/gm)].map(([, state]) => state);
  assert.deepEqual(states, ["AMBER", "GREEN"], String(stdout));
  assert.match(String(stdout), /GREEN[\s\S]*proven/);
});
