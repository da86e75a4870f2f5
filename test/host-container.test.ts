import assert from "node:assert/strict";
import { after, test } from "node:test";
import { inContainer } from "../src/host/container.ts";
import { openLocalHost } from "../src/host/local.ts";
import { isFailure } from "../src/lib/errors.ts";
import { hostContract } from "./contracts/host.ts";
import { startContainerPostgres } from "./support/container-postgres.ts";

// A real container of podman: its files, users and network are not the host's.

const stack = new AsyncDisposableStack();
after(() => stack.disposeAsync());
const pg = stack.use(await startContainerPostgres());
const host = stack.use(await openLocalHost());
const how = { signal: new AbortController().signal };

// its process 1 is no server: what a command started may be ended too
const idle = await pg.idle("idle");
hostContract("a container", async () => inContainer(host, { container: idle }));

test("a command runs as a user of the container, with its home and the settings", async () => {
  const argv = ["sh", "-c", 'echo "$(id -un) $HOME $DROPS_TEST $POSTGRES_USER"; pwd'];
  const ran = await inContainer(host, pg).run(argv, { ...how, as: "postgres", env: { DROPS_TEST: "set" } });
  assert.equal(ran.stdout.toString(), "postgres /var/lib/postgresql set chat\n/\n");
});

test("refused: no container of that name", async () => {
  await assert.rejects(inContainer(host, { container: "drops-none" }).run(["true"], how), (error) => {
    assert.ok(isFailure(error, "host/command-failed"), String(error));
    assert.match(error.message, /podman on this machine cannot find a container drops-none as \S+$/);
    assert.match(error.hint ?? "", /ps -a, as /);
    return true;
  });
});

test("refused: a container that is stopped; the hint starts it", async () => {
  await pg.podman("stop", "-t", "1", pg.container);
  await assert.rejects(inContainer(host, pg).run(["true"], how), (error) => {
    assert.ok(isFailure(error, "host/command-failed"), String(error));
    assert.match(error.message, /the container \S+ on this machine is not running/);
    assert.equal(error.hint, `podman start ${pg.container}`);
    return true;
  });
});
