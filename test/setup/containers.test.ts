import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { judgeContainers } from "../../src/doctor/check-containers.ts";
import { coverageChecks } from "../../src/doctor/check-coverage.ts";
import type { World } from "../../src/doctor/world.ts";
import { type Container, parseContainers, readContainers } from "../../src/host/containers.ts";
import { openLocalHost } from "../../src/host/local.ts";
import { parsePolicy } from "../../src/policy/load.ts";
import { lookFor } from "../../src/setup/look.ts";
import { policyText } from "../../src/setup/policy-text.ts";
import { suggest } from "../../src/setup/suggest.ts";
import { startContainerPostgres } from "../support/container-postgres.ts";

// Containers of a real podman, as compose starts them, are found by their volumes.

const stack = new AsyncDisposableStack();
after(() => stack.disposeAsync());
const pg = stack.use(await startContainerPostgres());
const host = stack.use(await openLocalHost());
const how = { signal: new AbortController().signal };
await pg.psql("postgres", "CREATE DATABASE chat");
const folder = await mkdtemp("/var/tmp/drops-compose-");
stack.defer(() => rm(folder, { recursive: true, force: true }));
const outside = `${folder}-media`;
stack.defer(() => rm(outside, { recursive: true, force: true }));
for (const directory of [join(folder, "data/db"), outside]) await mkdir(directory, { recursive: true });
for (const file of ["CURRENT", "IDENTITY", "MANIFEST-000001"])
  await writeFile(join(folder, "data/db", file), "x");
await writeFile(join(outside, "picture"), Buffer.alloc(50_000));
const labels = ["project=chat", `project.working_dir=${folder}`].flatMap((each) => [
  "--label",
  `com.docker.compose.${each}`,
]);
const volumes = [
  "-v",
  `${folder}/data:/data`,
  "-v",
  `${outside}:/media`,
  "-v",
  "/etc/hostname:/etc/name",
  "-v",
  `${folder}:/again:ro`,
];
const app = await pg.idle("app", ...labels, ...volumes);
stack.defer(() => pg.podman("rm", "-f", "-t", "0", app).then(() => undefined));

test("containers are read with their volumes; what is of the system or only read is none", async () => {
  const found = await readContainers(host, how);
  assert.deepEqual(
    found
      .map(({ name, volumes: all }) => [
        name,
        ...all.map(({ path, isPostgres }) => `${path} ${isPostgres}`).sort(),
      ])
      .sort(),
    [
      [pg.container, `${pg.volume} true`],
      [app, `${outside} false`, `${folder}/data false`].sort(
        (a, b) => Number(b === app) - Number(a === app) || (a < b ? -1 : 1),
      ),
    ],
  );
  const its = found.find(({ name }) => name === app);
  assert.deepEqual([its?.engine, its?.runs, its?.project, its?.folder], ["podman", true, "chat", folder]);
  assert.ok((its?.volumes.find(({ path }) => path === outside)?.bytes ?? 0) >= 50_000);
});

test("init proposes the database in its container, a RocksDB in a volume, and directories without the server's files", async () => {
  const found = await lookFor(host, how);
  const ours = suggest(found).filter(({ what }) =>
    what.kind === "postgres" ? what.container === pg.container : what.path.startsWith(folder),
  );
  assert.deepEqual(
    ours.map(({ what }) => [what.kind, what.kind === "postgres" ? what.database : what.path]),
    [
      ["postgres", "chat"],
      ["rocksdb", `${folder}/data/db`],
      ["files", folder],
      ["files", outside],
    ],
  );
  const paths = suggest(found).flatMap(({ what }) => (what.kind === "files" ? [what.path] : []));
  assert.deepEqual(
    paths.filter((path) => pg.volume.startsWith(path)),
    [],
  );
  const { policy } = parsePolicy(textOf(ours), "made");
  const [database] = policy.sources;
  assert.ok(database?.kind === "postgres");
  assert.deepEqual([database.container, database.user, database.database], [pg.container, "chat", "chat"]);
});

test("doctor names volumes and databases of containers that are in no source", async () => {
  const { policy } = parsePolicy(
    textOf([{ name: "etc", what: { kind: "files", path: "/etc/drops", exclude: [] }, units: [] }]),
    "made",
  );
  const world = { loaded: { policy }, host: Promise.resolve(host) } as unknown as World;
  const lines = (await Promise.all(coverageChecks(world).map((check) => check.run(how)))).flat();
  const said = lines.map(({ what }) => what).join("\n");
  assert.match(said, new RegExp(`^${outside} \\(.* KiB.*\\) is in no source$`, "m"));
  assert.match(
    said,
    new RegExp(`^the database chat of container ${pg.container} \\(.*\\) is in no source$`, "m"),
  );
  assert.doesNotMatch(said, new RegExp(`^${pg.volume}`, "m"));
});

const of = ({ name, ...more }: Partial<Container> & { readonly name: string }): Container => ({
  ...{ name, engine: "docker", runs: true, unit: undefined, project: "chat", folder: undefined },
  ...{ isRemoved: false, volumes: [], ...more },
});
const rows = [
  {
    name: "no unit",
    units: [],
    container: of({ name: "app", volumes: [{ path: "/srv/chat/data", bytes: 1, isPostgres: false }] }),
    says: /app uses what is backed up, and no systemd unit runs it/,
  },
  {
    name: "of the database's project",
    units: [],
    container: of({ name: "web" }),
    says: /web uses what is backed up, and no systemd unit/,
  },
  {
    name: "a unit that is not named",
    units: [],
    container: of({ name: "web", unit: "chat.service" }),
    says: /restore\.units does not name chat\.service/,
  },
  {
    name: "a unit that is named",
    units: ["chat.service"],
    container: of({ name: "web", unit: "chat.service" }),
    says: /2 containers, of units/,
  },
  {
    name: "another's",
    units: [],
    container: of({ name: "other", project: "x" }),
    says: /1 containers, of units/,
  },
];
for (const { name, units, container, says } of rows) {
  test(`a container that a restore cannot stop is said: ${name}`, () => {
    const sources = [
      { name: "db", what: { kind: "postgres" as const, database: "chat", container: "pg" }, units },
      { name: "chat", what: { kind: "files" as const, path: "/srv/chat", exclude: [] }, units },
    ];
    const { policy } = parsePolicy(textOf(sources), "made");
    const [line, ...rest] = judgeContainers(policy, [of({ name: "pg" }), container]);
    assert.match(line?.what ?? "", says);
    assert.deepEqual(rest, []);
  });
}

test("the unit of a container, and whether it takes the container away", () => {
  const line = (name: string, more: object) =>
    `docker ${JSON.stringify({ id: name.padEnd(12, name), name: `/${name}`, runs: true, removed: false, mounts: [], unit: "", project: "p", folder: "/srv/chat", ...more })}`;
  const unit = (id: string, work: string, start: string, stop: string) =>
    `Id=${id}\nWorkingDirectory=${work}\nExecStart={ path=/usr/bin/docker ; argv[]=${start} ; ignore_errors=no }\nExecStop={ path=x ; argv[]=${stop} ; ignore_errors=no }`;
  const units = [
    unit("chat.service", "/srv/chat", "/usr/bin/docker compose up", "/usr/bin/docker compose down"),
    unit("single.service", "", "/usr/bin/docker start -a bb", "/usr/bin/docker stop bb"),
    unit(
      "file.service",
      "",
      "/usr/bin/docker compose -f /srv/file/compose.yaml up",
      "/usr/bin/docker compose stop",
    ),
  ].join("\n\n");
  const lines = [
    line("aa", {}),
    line("bb", { folder: "" }),
    line("cc", { folder: "/srv/file" }),
    line("dd", { folder: "/srv/fil" }),
    line("aa", {}),
    "docker {",
    "evil",
  ];
  assert.deepEqual(
    parseContainers(`${lines.join("\n")}\0${units}`).map(({ name, unit: by, isRemoved }) => [
      name,
      by,
      isRemoved,
    ]),
    [
      ["aa", "chat.service", true],
      ["bb", "single.service", false],
      ["cc", "file.service", false],
      ["dd", undefined, false],
    ],
  );
});

function textOf(sources: Parameters<typeof policyText>[0]["sources"]): string {
  const store = { directory: "/srv/backups/chat" };
  return policyText({
    name: "chat",
    zone: "UTC",
    host: "local",
    sshKey: undefined,
    store,
    credentialsFile: undefined,
    keys: "/k",
    sources,
  });
}
