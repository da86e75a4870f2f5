import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { OUTPUTS } from "../../src/cli/outputs.ts";
import { type Manner, type Receiver, startReceiver } from "../support/alert-receivers.ts";
import { drops, type Outcome } from "../support/in-process.ts";

const TOKEN = "b0a7f00d-token";
const scratch = mkdtempSync(join(tmpdir(), "drops-alerts-"));
after(() => rmSync(scratch, { recursive: true }));
const keys = join(scratch, "keys");
before(async () => {
  assert.equal((await drops(["keygen", "--to", keys])).exit, 0);
});

interface Site extends AsyncDisposable {
  readonly directory: string;
  readonly policyFile: string;
  readonly watchdog: Receiver;
  readonly phone: Receiver;
  drops(args: string, how?: Parameters<typeof drops>[1]): Promise<Outcome>;
  /** What the watchdog heard since the last call, as the ends of its address. */
  pings(): string[];
  /** What the phone heard since the last call. */
  calls(): readonly {
    readonly event: string;
    readonly failure?: { readonly code: string };
    readonly log?: string;
    readonly title: string;
    readonly message: string;
    readonly reminder: boolean;
  }[];
}

/** A policy with a repository and two receivers; every output is looked through for the token in their addresses. */
async function openSite(
  how: { manners?: Manner[]; init?: boolean; sources?: string; notify?: boolean } = {},
): Promise<Site> {
  const directory = mkdtempSync(join(scratch, "site-"));
  const { manners = ["takes"], init = true, notify = true } = how;
  const watchdog = await startReceiver(...manners);
  const phone = await startReceiver(...manners);
  await mkdir(join(directory, "data"));
  await writeFile(join(directory, "data", "a"), "hello");
  await writeFile(join(directory, "phone-url"), `${phone.url}/hook/${TOKEN}\n`, { mode: 0o600 });
  const policyFile = join(directory, "small.yaml");
  const sources = how.sources ?? `  - { name: files, kind: files, paths: [${directory}/data] }`;
  const channels = `notify:
  time_limit: 3s
  state_directory: ${directory}/state
  channels:
    - { name: watchdog, kind: ping, url: "${watchdog.url}/${TOKEN}" }
    - { name: phone, kind: webhook, url_file: ${directory}/phone-url }
`;
  await writeFile(
    policyFile,
    `name: small
zone: Europe/Berlin
host: local
store: { directory: ${directory}/store }
keys:
  recovery_recipients_file: ${keys}/recovery-recipients.txt
  metadata_identity_file: ${keys}/metadata-identity.txt
  signing_key_file: ${keys}/signing-key
${notify ? channels : ""}sources:
${sources}
`,
  );
  const call: Site["drops"] = async (args, more) => {
    const outcome = await drops(["--policy", policyFile, ...args.split(" ")], more);
    assert.doesNotMatch(`${outcome.stdout}${outcome.stderr}`, /b0a7f00d/);
    return outcome;
  };
  if (init) assert.equal((await call("init")).exit, 0);
  let [pinged, called] = [0, 0];
  return {
    directory,
    policyFile,
    watchdog,
    phone,
    drops: call,
    pings: () => {
      const fresh = watchdog.requests.slice(pinged);
      pinged = watchdog.requests.length;
      return fresh.map(({ url }) => url.replace(`/${TOKEN}`, "") || "/");
    },
    calls: () => {
      const fresh = phone.requests.slice(called);
      called = phone.requests.length;
      return fresh.map(({ body }) => JSON.parse(body));
    },
    async [Symbol.asyncDispose]() {
      await watchdog[Symbol.asyncDispose]();
      await phone[Symbol.asyncDispose]();
    },
  };
}

const events = (site: Site) =>
  site.calls().map(({ event, failure }) => `${event} ${failure?.code ?? ""}`.trim());

describe("alerts", { timeout: 1_800_000 }, () => {
  test("nights that fail and one that does not: exit codes as without alerts, told once, and that it is over", async () => {
    await using site = await openSite({ init: false });
    assert.equal((await site.drops("backup")).exit, 11);
    assert.deepEqual([site.pings(), events(site)], [["/start", "/fail"], ["failure store/unavailable"]]);
    assert.equal((await site.drops("backup")).exit, 11);
    assert.deepEqual([site.pings(), events(site)], [["/start", "/fail"], []]);
    const tomorrow = () => new Date(Date.now() + 23.7 * 3_600_000);
    assert.equal((await site.drops("backup", { now: tomorrow })).exit, 11);
    const [again] = site.calls();
    assert.deepEqual(
      [again?.event, again?.reminder, again?.title],
      ["failure", true, "drops: backup of small still fails"],
    );
    assert.equal((await site.drops("init")).exit, 0);
    site.pings();
    const good = await site.drops("backup");
    assert.equal(good.exit, 0, good.stderr);
    assert.deepEqual([site.pings(), events(site)], [["/start", "/"], ["recovered"]]);
    assert.match(
      site.watchdog.requests.at(-1)?.body ?? "",
      /^drops: backup of small went well\nsnapshot [0-9a-f]+: 1 source[\s\S]*\nfiles: 2 files listed\n/,
    );
  });

  test("a part that failed is an event of its own, with the log and the sources", async () => {
    const sources = `  - { name: files, kind: files, paths: [${keys}] }\n  - { name: gone, kind: files, paths: [/nowhere] }`;
    await using site = await openSite({ sources });
    assert.equal((await site.drops("backup")).exit, 3);
    assert.deepEqual(site.pings(), ["/start", "/fail"]);
    const [call, ...others] = site.calls();
    assert.deepEqual([call?.event, call?.failure?.code, others], ["partial", "backup/partial", []]);
    assert.match(call?.message ?? "", /^gone could not be backed up, the rest is stored\nnext: drops show/);
    assert.match(call?.log ?? "", /gone/);
  });

  for (const manner of ["later", "refuses", "cuts", "silent"] as const) {
    test(`a backup whose channels are ${manner} is a backup, not much later, and says so`, async () => {
      await using site = await openSite({ manners: [manner] });
      const began = performance.now();
      const outcome = await site.drops("backup --quiet");
      assert.equal(outcome.exit, 0, outcome.stderr);
      assert.match(outcome.stderr, /^no alert reached watchdog: .+$/m);
      assert.ok(performance.now() - began < 240_000);
    });
  }

  test("no channel hears of parts, of runs by hand, and of what only looks", async () => {
    await using site = await openSite();
    const files = "backup --source files";
    for (const line of [files, "backup --no-notify", "snapshots", "plan", "prune --dry-run"])
      assert.equal((await site.drops(line)).exit, 0, line);
    assert.deepEqual([site.pings(), site.calls()], [[], []]);
  });

  test("verify and status are told of by the channels that want them; a status that is not green once", async () => {
    await using site = await openSite();
    for (let looks = 0; looks < 2; looks++) assert.equal((await site.drops("status")).exit, 21);
    assert.deepEqual(
      [site.pings(), site.calls().map(({ title }) => title)],
      [[], ["drops: small is not green"]],
    );
    assert.equal((await site.drops("backup")).exit, 0);
    assert.equal((await site.drops("status")).exit, 0);
    assert.equal((await site.drops("prune --yes")).exit, 0);
    assert.deepEqual(events(site), ["recovered"]);
    await rm(join(site.directory, "store", "packs"), { recursive: true, force: true });
    await rename(join(site.directory, "store"), join(site.directory, "gone"));
    assert.equal((await site.drops("verify")).exit, 11);
    assert.deepEqual(events(site), ["failure store/unavailable"]);
  });

  test("a mistake elsewhere in the policy is told, too", async () => {
    await using site = await openSite();
    const text = await readFile(site.policyFile, "utf8");
    await writeFile(site.policyFile, text.replace("kind: files", "kind: flies"));
    assert.equal((await site.drops("backup")).exit, 2);
    assert.deepEqual([site.pings(), events(site)], [["/start", "/fail"], ["failure policy/invalid"]]);
  });

  test("what was told is told again when nobody can say whether it was", async () => {
    await using site = await openSite({ init: false });
    await site.drops("backup");
    const book = join(site.directory, "state", "small", "backup", "told.json");
    assert.doesNotMatch(await readFile(book, "utf8"), /b0a7f00d/);
    await writeFile(book, "{ half");
    const outcome = await site.drops("backup");
    assert.match(outcome.stderr, /told\.json cannot be read: earlier alerts are not known/);
    assert.deepEqual(events(site), ["failure store/unavailable", "failure store/unavailable"]);
    await rm(join(site.directory, "state"), { recursive: true });
    await writeFile(join(site.directory, "state"), "in the way");
    const blocked = await site.drops("backup");
    assert.deepEqual([blocked.exit, events(site)], [11, ["failure store/unavailable"]]);
    assert.match(blocked.stderr, /earlier alerts are not remembered/);
  });

  test("a backup that systemd ends tells so before it goes", async () => {
    await using site = await openSite({ sources: "  - { name: slow, kind: command, argv: [sleep, '300'] }" });
    const main = new URL("../../src/main.ts", import.meta.url).pathname;
    const child = spawn(process.execPath, [main, "--policy", site.policyFile, "backup"], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let stderr = "";
    await new Promise<void>((ready) => {
      child.stderr.on("data", (piece) => {
        stderr += String(piece);
        if (stderr.includes("source slow")) ready();
      });
    });
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    assert.deepEqual(await ended, [130, null], stderr);
    assert.deepEqual([site.pings(), events(site)], [["/start", "/fail"], ["failure interrupted"]]);
  });

  test("systemd's messenger tells of a killed run everybody, of another one whom it could not reach, and nobody twice", async () => {
    await using site = await openSite({ init: false });
    const failed = "notify failed drops-backup@small.service --json";
    const monitor = (id: string, result: string, code: string, status: string) => ({
      env: {
        MONITOR_INVOCATION_ID: id,
        MONITOR_SERVICE_RESULT: result,
        MONITOR_EXIT_CODE: code,
        MONITOR_EXIT_STATUS: status,
      },
    });
    const read = ({ stdout }: Outcome) => OUTPUTS["notify-failed"].strict().parse(JSON.parse(stdout));

    site.phone.behave("refuses");
    assert.equal((await site.drops("backup", { env: { INVOCATION_ID: "aa" } })).exit, 11);
    site.phone.behave("takes");
    [site.pings(), site.calls()];
    const first = read(await site.drops(failed, monitor("aa", "exit-code", "exited", "11")));
    assert.deepEqual([first.toldByItself, first.channels.map(({ channel }) => channel)], [true, ["phone"]]);
    assert.deepEqual([site.pings(), events(site)], [[], ["failure store/unavailable"]]);
    const second = read(await site.drops(failed, monitor("aa", "exit-code", "exited", "11")));
    assert.deepEqual([second.channels, site.pings(), site.calls()], [[], [], []]);

    const killed = read(await site.drops(failed, monitor("bb", "oom-kill", "killed", "KILL")));
    assert.equal(killed.toldByItself, false);
    assert.deepEqual(site.pings(), ["/fail"]);
    const [call] = site.calls();
    assert.match(
      call?.message ?? "",
      /^drops-backup@small\.service ended without telling why: oom-kill, signal KILL\nnext: journalctl -u drops-backup@small\.service\n/,
    );
    assert.equal((await site.drops("notify failed drops-backup@other.service")).exit, 2);
  });

  test("notify test tries each channel and says what it answered", async () => {
    await using site = await openSite();
    const all = await site.drops("notify test");
    assert.equal(all.exit, 0, all.stderr);
    assert.deepEqual([site.pings(), events(site)], [["/log"], ["test"]]);
    site.phone.behave("refuses");
    const one = await site.drops("notify test phone --json");
    assert.equal(one.exit, 21);
    const report = OUTPUTS["notify-test"].strict().parse(JSON.parse(one.stdout));
    assert.deepEqual(
      report.channels.map(({ channel, delivered, attempts }) => [channel, delivered, attempts]),
      [["phone", false, 1]],
    );
    const none = await site.drops("notify test pager");
    assert.deepEqual([none.exit, none.stdout], [2, ""]);
    assert.match(
      none.stderr,
      /has no channel pager\nhint: drops notify test watchdog {2}or {2}drops notify test phone/,
    );
    await using quiet = await openSite({ notify: false, init: false });
    const nobody = await quiet.drops("notify test");
    assert.deepEqual(
      [nobody.exit, (await quiet.drops("notify failed drops-backup@small.service")).exit],
      [2, 0],
    );
    assert.match(nobody.stderr, /has no notify: there is nobody to alert\nhint: docs\/alerts\.md/);
  });
});
