import assert from "node:assert/strict";
import { test } from "node:test";
import type { Channel } from "../../src/notify/channel.ts";
import { deliverAll } from "../../src/notify/deliver.ts";
import { openChannels } from "../../src/notify/open-channels.ts";
import { Notify } from "../../src/policy/notify-schema.ts";
import { alert } from "../contracts/channel.ts";
import { type Manner, startReceiver } from "../support/alert-receivers.ts";
import { until } from "../support/until.ts";

const never = new AbortController().signal;

function pingTo(url: string): Channel {
  const { channels } = Notify.parse({ channels: [{ name: "it", kind: "ping", url }] });
  const [channel] = openChannels(channels, { machine: "m" });
  assert.ok(channel);
  return channel;
}

const table: readonly {
  name: string;
  manners: readonly Manner[];
  delivered: boolean;
  attempts: number;
  said: RegExp;
}[] = [
  { name: "at once", manners: ["takes"], delivered: true, attempts: 1, said: /^200 OK from 127/ },
  {
    name: "after errors and cuts",
    manners: ["later", "cuts", "takes"],
    delivered: true,
    attempts: 3,
    said: /^200 OK from 127/,
  },
  {
    name: "never, when it is refused",
    manners: ["refuses", "takes"],
    delivered: false,
    attempts: 1,
    said: /^127\.0\.0\.1:\d+: answered 404 Not Found$/,
  },
];
for (const { name, manners, ...want } of table) {
  test(`an alert is delivered ${name}`, async () => {
    await using receiver = await startReceiver(...manners);
    const [done] = await deliverAll([{ channel: pingTo(receiver.url), alert }], {
      limitMs: 30_000,
      signal: never,
    });
    assert.deepEqual([done?.delivered, done?.attempts], [want.delivered, want.attempts]);
    assert.match(done?.said ?? "", want.said);
    assert.equal(receiver.requests.length, want.attempts);
  });
}

/** One that hears no signal either: the limit does not depend on good manners. */
const stubborn: Channel = {
  name: "stubborn",
  kind: "command",
  on: ["failure"],
  verbs: ["backup"],
  deliver: () => new Promise(() => {}),
};

test("after the limit everybody is back, and one that hangs holds up no other", {
  timeout: 600_000,
}, async () => {
  await using silent = await startReceiver("silent");
  await using broken = await startReceiver("later");
  await using well = await startReceiver("takes");
  const channels = [pingTo(silent.url), pingTo(broken.url), stubborn, pingTo(well.url)];
  const began = performance.now();
  const done = await deliverAll(
    channels.map((channel) => ({ channel, alert })),
    { limitMs: 1500, signal: never },
  );
  const took = performance.now() - began;
  assert.ok(took >= 1400 && took < 15_000, `${took} ms`);
  assert.deepEqual(
    done.map(({ delivered }) => delivered),
    [false, false, false, true],
  );
  assert.match(done[0]?.said ?? "", /^given up after 1\.5 s: no answer$/);
  assert.match(
    done[1]?.said ?? "",
    /^given up after 1\.5 s: 127\.0\.0\.1:\d+: answered 503 Service Unavailable$/,
  );
  assert.match(done[2]?.said ?? "", /^given up after 1\.5 s: no answer$/);
});

test("the signal breaks off, without a throw", { timeout: 600_000 }, async () => {
  await using silent = await startReceiver("silent");
  const stop = new AbortController();
  const delivering = deliverAll([{ channel: pingTo(silent.url), alert }], {
    limitMs: 600_000,
    signal: stop.signal,
  });
  await until("it is asked", () => silent.requests.length > 0);
  stop.abort(new Error("a second Ctrl-C"));
  const [done] = await delivering;
  assert.deepEqual([done?.delivered, done?.said], [false, "broken off: no answer"]);
});
