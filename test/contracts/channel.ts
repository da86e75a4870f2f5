import assert from "node:assert/strict";
import { test } from "node:test";
import { DropsError } from "../../src/lib/errors.ts";
import type { Channel } from "../../src/notify/channel.ts";
import type { Alert } from "../../src/notify/report.ts";
import type { Manner } from "../support/alert-receivers.ts";
import { until } from "../support/until.ts";

export const SECRET = "b0a7f00d-token";

export const alert: Alert = {
  format: "drops-alert-1",
  id: "11111111-2222-3333-4444-555555555555",
  event: "failure",
  reminder: false,
  title: "drops: backup of ops failed",
  message: "the store is away\nnext: look – über there",
  priority: 4,
  tags: ["drops", "rotating_light"],
  policy: "ops",
  verb: "backup",
  machine: "backup-host",
  at: "2026-11-20T01:30:00.000Z",
  started: "2026-11-20T01:29:00.000Z",
  seconds: 60,
  exitCode: 11,
  failure: { code: "store/unavailable", message: "the store is away", hint: "look – über there" },
  since: "2026-11-20T01:30:00.000Z",
  log: "one\ntwo\n. \n.\nthree",
};

const BOUNDED = { timeout: 600_000 };

/** A channel with a real receiver behind it. */
export interface ChannelSite extends AsyncDisposable {
  readonly channel: Channel;
  /** All that arrived, as text in which the words of an alert can be found. */
  received(): readonly string[];
  /** Whether anything that the channel started goes on. */
  isBusy(): boolean;
}

/** What every kind of channel promises. `later`: whether the other side has a way to ask for another try. */
export function channelContract(
  kind: string,
  open: (manner: Manner) => Promise<ChannelSite>,
  can: { readonly later: boolean },
): void {
  const deliver = (site: ChannelSite, ms = 300_000) =>
    site.channel.deliver(alert, { signal: AbortSignal.timeout(ms) });

  test(`${kind}: an alert arrives once, with its words, and the answer is told`, async () => {
    await using site = await open("takes");
    const said = await deliver(site);
    assert.match(said, /200 OK from 127\.0\.0\.1|took it|exit status 0/);
    const received = site.received();
    assert.equal(received.length, 1);
    assert.match(received[0] ?? "", /backup of ops failed/);
    assert.match(received[0] ?? "", /the store is away/);
    assert.doesNotMatch(said, new RegExp(SECRET));
  });

  for (const manner of ["slow", "drips"] as const) {
    test(
      `${kind}: a receiver that ${manner === "slow" ? "takes its time" : "never ends its answer"} has taken it`,
      BOUNDED,
      async () => {
        await using site = await open(manner);
        assert.match(await deliver(site), /200 OK from 127\.0\.0\.1|took it|exit status 0/);
        assert.equal(site.received().length, 1);
      },
    );
  }

  const failures: readonly { manner: Manner; code: string }[] = [
    { manner: "refuses", code: "notify/refused" },
    ...(can.later ? [{ manner: "later", code: "notify/unreachable" } as const] : []),
    { manner: "cuts", code: kind.startsWith("http") ? "notify/unreachable" : "notify/refused" },
  ];
  for (const { manner, code } of failures) {
    test(`${kind}: a receiver that ${manner === "later" ? "asks for later" : manner} is ${code}, without a secret`, async () => {
      await using site = await open(manner);
      await assert.rejects(deliver(site), (error) => {
        assert.ok(error instanceof DropsError, String(error));
        assert.equal(error.code, code);
        const words = `${error.message} ${error.hint ?? ""} ${String(error.cause ?? "")} ${error.stack ?? ""}`;
        assert.doesNotMatch(words, /b0a7f00d|secret-of-the-program/);
        return true;
      });
    });
  }

  test(
    `${kind}: a receiver that never answers is left when the signal says so, and nothing goes on`,
    BOUNDED,
    async () => {
      await using site = await open("silent");
      const stop = new AbortController();
      const delivery = site.channel.deliver(alert, { signal: stop.signal });
      const rejected = assert.rejects(delivery, /enough of this/);
      await until("it has the alert, and sits on it", () => site.received().length > 0 && site.isBusy());
      stop.abort(new Error("enough of this"));
      await rejected;
      await until("all of it ends", () => !site.isBusy());
    },
  );

  test(`${kind}: after the signal nothing is begun`, async () => {
    await using site = await open("takes");
    const signal = AbortSignal.abort(new Error("enough of this"));
    await assert.rejects(site.channel.deliver(alert, { signal }), /enough of this/);
    assert.deepEqual(site.received(), []);
  });
}
