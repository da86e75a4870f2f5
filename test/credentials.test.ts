import assert from "node:assert/strict";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { inspect } from "node:util";
import { DropsError, type FailureCode } from "../src/lib/errors.ts";
import { readCredentials, type S3Credentials } from "../src/store/credentials.ts";

const scratch = await mkdtemp(join(tmpdir(), "drops-credentials-"));
after(() => rm(scratch, { recursive: true }));
const file = join(scratch, "s3");
const SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCY=";
const pair = { accessKeyId: "AKIAEXAMPLE", secretAccessKey: SECRET };
const lines = `AWS_ACCESS_KEY_ID=AKIAEXAMPLE\nAWS_SECRET_ACCESS_KEY=${SECRET}\n`;

const good: readonly { readonly name: string; readonly text: string; readonly read: S3Credentials }[] = [
  { name: "plain lines", text: lines, read: pair },
  { name: "no newline at the end", text: lines.trimEnd(), read: pair },
  { name: "Windows line ends", text: lines.replaceAll("\n", "\r\n"), read: pair },
  { name: "a shell's export", text: lines.replaceAll("AWS_", "export AWS_"), read: pair },
  {
    name: "quotes",
    text: `AWS_ACCESS_KEY_ID='AKIAEXAMPLE'\nAWS_SECRET_ACCESS_KEY="${SECRET}"\n`,
    read: pair,
  },
  { name: "comments, blanks and others", text: `# S3\n\n  ${lines}\nAWS_REGION=eu\n`, read: pair },
  {
    name: "a session",
    text: `${lines}AWS_SESSION_TOKEN=FwoG==\n`,
    read: { ...pair, sessionToken: "FwoG==" },
  },
];
for (const { name, text, read } of good) {
  test(`${name} are read`, async () => {
    await write(text, 0o600);
    assert.deepEqual(await readCredentials({ file, env: {} }), read);
  });
}

test("without a file the environment is asked, with one it is not", async () => {
  const env = { AWS_ACCESS_KEY_ID: "FROMENV", AWS_SECRET_ACCESS_KEY: "s", AWS_SESSION_TOKEN: "t" };
  assert.deepEqual(await readCredentials({ env }), {
    accessKeyId: "FROMENV",
    secretAccessKey: "s",
    sessionToken: "t",
  });
  await write(lines, 0o600);
  assert.deepEqual(await readCredentials({ file, env }), pair);
  await write("AWS_ACCESS_KEY_ID=half\n", 0o600);
  await fails("key/missing", /AWS_SECRET_ACCESS_KEY is not in/, /credentials_file/, { file, env });
});

test("nothing anywhere is key/missing", async () => {
  await fails("key/missing", /AWS_ACCESS_KEY_ID is not in the environment/, /credentials_file/, { env: {} });
  await fails("key/missing", /AWS_ACCESS_KEY_ID is not in/, /credentials_file/, {
    env: { AWS_ACCESS_KEY_ID: "" },
  });
  await fails("key/missing", /does not exist/, /^ls -l /, { file: join(scratch, "none"), env: {} });
});

test("a file that others can read is refused, with the command that mends it", async () => {
  for (const mode of [0o640, 0o644, 0o604, 0o606, 0o666]) {
    await write(lines, mode);
    await fails("key/wrong", /open to other users/, new RegExp(`^chmod 600 ${file}$`), { file, env: {} });
  }
});

const bad: readonly { readonly name: string; readonly text: string; readonly says: RegExp }[] = [
  { name: "a line that is no assignment", text: `${lines}${SECRET}\n`, says: /line 3 of/ },
  { name: "a JSON file", text: `{"AccessKeyId": "A",\n"SecretAccessKey": "${SECRET}"}`, says: /line 1 of/ },
  {
    name: "a secret with a line break's rest",
    text: lines.replace("bPx", "b Px"),
    says: /characters that are not allowed in a key/,
  },
  { name: "a large file", text: `${lines}${"#\n".repeat(600_000)}`, says: /too large/ },
];
for (const { name, text, says } of bad) {
  test(`${name} is key/wrong, and quotes nothing`, async () => {
    await write(text, 0o600);
    await fails("key/wrong", says, /./, { file, env: {} });
  });
}

async function write(text: string, mode: number): Promise<void> {
  await writeFile(file, text);
  await chmod(file, mode);
}

async function fails(
  code: FailureCode,
  says: RegExp,
  hints: RegExp,
  from: Parameters<typeof readCredentials>[0],
): Promise<void> {
  await assert.rejects(readCredentials(from), (error) => {
    assert.ok(error instanceof DropsError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, says);
    if (error.hint !== undefined) assert.match(error.hint, hints);
    assert.ok(!inspect(error, { depth: 9, showHidden: true }).includes(SECRET.slice(0, 8)));
    return true;
  });
}
