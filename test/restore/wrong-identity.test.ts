import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { drops } from "../support/in-process.ts";
import { openSite, type Site } from "../support/site.ts";

let site: Site;
let other = "";
let wanted = "";
before(async () => {
  site = await openSite();
  const keys = join(site.directory, "other");
  await drops(["keygen", "--to", keys]);
  other = join(keys, "recovery-identity.txt");
  const { stdout } = await site.drops("keys", "--json");
  wanted = /age1[a-z0-9]+/.exec(stdout)?.[0] ?? "none";
});
after(() => site[Symbol.asyncDispose]());

const NONE = "no identity opens the age file";

interface Row {
  readonly line: readonly string[];
  /** Of `--identity`; undefined: none is given. */
  readonly identity: () => string | undefined;
  readonly says: () => string;
  readonly exit: number;
}

const rows: Readonly<Record<string, Row>> = {
  "restore, somebody else's": {
    line: ["restore", "--date", "latest", "--to", "@OUT@"],
    identity: () => other,
    says: () => `${NONE}; tried: ${other}; wanted: the identity of ${wanted}`,
    exit: 13,
  },
  "restore, none given": {
    line: ["restore", "--date", "latest", "--to", "@OUT@"],
    identity: () => undefined,
    says: () =>
      `${NONE}; tried: ${site.keys}/metadata-identity.txt (it opens manifests, never data); wanted: the identity of ${wanted}`,
    exit: 13,
  },
  "restore, a file that is not there": {
    line: ["restore", "--date", "latest", "--to", "@OUT@"],
    identity: () => "/nonexistent/id.txt",
    says: () => `identity file /nonexistent/id.txt does not exist; wanted: the identity of ${wanted}`,
    exit: 13,
  },
  "a guided restore, somebody else's": {
    line: ["restore", "--date", "latest", "--host", "local", "--dry-run"],
    identity: () => other,
    says: () => `${NONE}; tried: ${other}; wanted: the identity of ${wanted}`,
    exit: 13,
  },
  "export, somebody else's": {
    line: ["export", "--date", "latest", "words"],
    identity: () => other,
    says: () => `${NONE}; tried: ${other}; wanted: the identity of ${wanted}`,
    exit: 13,
  },
  "ls, somebody else's": {
    line: ["ls", "latest"],
    identity: () => other,
    says: () => `${NONE}; tried: ${other}; wanted: the identity of ${wanted}`,
    exit: 13,
  },
  "drill, somebody else's": {
    line: ["drill"],
    identity: () => other,
    says: () => `COULD NOT RUN, ${NONE}; tried: ${other}; wanted: the identity of ${wanted}`,
    exit: 21,
  },
};

for (const [name, { line, identity, says, exit }] of Object.entries(rows)) {
  test(`${name}: the file that was tried and the recipient that is wanted`, async () => {
    const file = identity();
    const given = file === undefined ? [] : ["--identity", file];
    const words = line.map((word) => (word === "@OUT@" ? join(site.directory, "out") : word));
    const ended = await site.drops(...words, ...given);
    assert.equal(ended.exit, exit, ended.stderr);
    assert.ok(`${ended.stderr}\n${ended.stdout}`.includes(says()), ended.stderr + ended.stdout);
    assert.match(ended.stderr, /^hint: --identity FILE with the recovery identity from the safe/m);
    assert.doesNotMatch(ended.stderr, /keygen/);
  });
}

test("from a store alone the file is named; whose is wanted, the sheet says", async () => {
  const alone = ["--store", site.repository, "--trusted-signer", join(site.keys, "signing-key.pub")];
  const to = join(site.directory, "out");
  const { exit, stderr } = await drops([
    ...["restore", "--date", "latest", "--to", to, "--identity", other],
    ...alone,
  ]);
  assert.equal(exit, 13);
  assert.match(
    stderr,
    new RegExp(`^drops: ${NONE}; tried: ${other}\nhint: .*; the recovery sheet names`, "m"),
  );
});
