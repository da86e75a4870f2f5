import * as z from "zod";
import type { Cancel } from "../lib/cancel.ts";
import { ContainerEngine, ContainerName } from "../policy/fields.ts";
import type { Host } from "./host.ts";

/** A directory of the host that a container writes to: a named volume, or one that is bound into it. */
export interface Volume {
  readonly path: string;
  readonly bytes: number;
  /** Its files are those of a PostgreSQL server: copied while it runs they are no backup. */
  readonly isPostgres: boolean;
}

export interface Container {
  readonly engine: ContainerEngine;
  readonly name: string;
  readonly runs: boolean;
  /** The systemd unit that runs it or its compose project; undefined: none is known. */
  readonly unit: string | undefined;
  /** Of compose: containers of one name are started and stopped together. */
  readonly project: string | undefined;
  /** Where its compose project lies. */
  readonly folder: string | undefined;
  /** It is not only stopped with its unit, but removed. */
  readonly isRemoved: boolean;
  readonly volumes: readonly Volume[];
}

const label = (name: string) => `{{json (index .Config.Labels "${name}")}}`;
/** Never its environment, which holds passwords. */
const FORMAT = [
  '{"id":"{{.Id}}","name":{{json .Name}},"runs":{{json .State.Running}},"removed":{{json .HostConfig.AutoRemove}},"mounts":{{json .Mounts}}',
  `"unit":${label("PODMAN_SYSTEMD_UNIT")},"project":${label("com.docker.compose.project")}`,
  `"folder":${label("com.docker.compose.project.working_dir")}}`,
].join(",");

const LIST = `
for engine in docker podman; do
  command -v "$engine" >/dev/null 2>&1 || continue
  ids=$(timeout 30 "$engine" ps -aq --no-trunc 2>/dev/null | head -n 200)
  # shellcheck disable=SC2086
  [ -z "$ids" ] || timeout 30 "$engine" container inspect --format "$engine $1" $ids 2>/dev/null
done
printf '\\0'
if [ -d /run/systemd/system ] && command -v systemctl >/dev/null; then
  # shellcheck disable=SC2046
  LC_ALL=C systemctl show --property=Id,WorkingDirectory,ExecStart,ExecStop -- \\
    $(systemctl list-units --type=service --all --no-legend --no-pager --plain | cut -d ' ' -f 1)
fi
exit 0
`;

/** Each is BYTES, `y` for a server's files, and PATH, with tabs between, ended by NUL. */
const LOOK = `
LC_ALL=C; export LC_ALL
for path; do
  [ -d "$path" ] || continue
  server=$(find -H "$path" -maxdepth 3 -type f -name PG_VERSION -printf y -quit 2>/dev/null)
  printf '%s\\t%s\\t%s\\0' "$(timeout 20 du -sbx -- "$path/" 2>/dev/null | cut -f 1)" "$server" "$path"
done
`;
/** Directories that containers are given of the system. */
const OF_SYSTEM =
  /^\/(?:$|(?:bin|boot|dev|etc|lib|lib64|proc|run|sbin|sys|tmp|usr|var\/run|var\/log)(?:\/|$))/;

const Mount = z.object({ Type: z.string(), Source: z.string().nullish(), RW: z.boolean() });
type Mount = z.infer<typeof Mount>;
const Line = z.object({
  id: z.string().regex(/^[0-9a-f]{12,64}$/),
  name: z.string(),
  runs: z.boolean(),
  removed: z.boolean().nullish(),
  mounts: z.array(Mount).nullish(),
  unit: z.string().nullish(),
  project: z.string().nullish(),
  folder: z.string().nullish(),
});

/** Containers of docker and podman, those that are stopped too, as far as the user who logs in sees them. Changes nothing. */
export async function readContainers(host: Host, how: Cancel): Promise<readonly Container[]> {
  const argv = ["sh", "-c", LIST, "drops-containers", FORMAT];
  const { stdout } = await host.run(argv, { ...how, maxStdout: 16 * 1024 * 1024 });
  const found = parseContainers(stdout.toString());
  const paths = [...new Set(found.flatMap(({ mounts }) => mounts))];
  const volumes = paths.length === 0 ? [] : await lookAtVolumes(host, paths, how);
  return found.map(({ mounts, ...container }) => ({
    ...container,
    volumes: volumes.filter(({ path }) => mounts.includes(path)),
  }));
}

/** Exported for its tests: whatever a host says, only whole lines of ours count. */
export function parseContainers(
  text: string,
): readonly (Omit<Container, "volumes"> & { readonly mounts: readonly string[] })[] {
  const [lines = "", units = ""] = text.split("\0", 2);
  const blocks = units.split(/\n{2,}/).filter((block) => /^Id=.+\.service$/m.test(block));
  const seen = new Set<string>();
  return lines.split("\n").flatMap((line) => {
    const [, engine, json = ""] = /^(docker|podman) (\{.*\})$/.exec(line) ?? [];
    const { data } = Line.safeParse(engine === undefined ? undefined : parsed(json));
    const name = ContainerName.safeParse(data?.name.replace(/^\//, "")).data;
    if (!data || name === undefined || seen.has(data.id)) return []; // docker may be podman's own stand-in
    seen.add(data.id);
    return [{ engine: ContainerEngine.parse(engine), name, ...told(data, name, blocks) }];
  });
}

function told({ folder: said, ...data }: z.infer<typeof Line>, name: string, blocks: readonly string[]) {
  const folder = said?.startsWith("/") ? said : undefined;
  const block = blocks.find((each) => (data.unit ? idOf(each) === data.unit : runsIt(each, name, folder)));
  return {
    runs: data.runs,
    unit: block === undefined ? undefined : idOf(block),
    project: data.project || undefined,
    folder,
    isRemoved: data.removed === true || wordsOf(block ?? "", "ExecStop").includes("down"),
    mounts: (data.mounts ?? []).flatMap(dataIn),
  };
}

/** The directory of a mount that a container keeps data in. */
function dataIn({ Type, Source, RW }: Mount): string[] {
  if (!RW || !/^(?:bind|volume)$/.test(Type) || !Source?.startsWith("/") || OF_SYSTEM.test(Source)) return [];
  return [Source];
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

function idOf(block: string): string | undefined {
  return /^Id=(.+)$/m.exec(block)?.[1];
}

/** A unit runs a container when it works in the folder of its compose project, or its command names that folder or the container. */
function runsIt(block: string, name: string, folder: string | undefined): boolean {
  const words = wordsOf(block, "ExecStart");
  const isIts = (word: string) => folder !== undefined && (word === folder || word.startsWith(`${folder}/`));
  if (isIts(/^WorkingDirectory=[-!]*(.*)$/m.exec(block)?.[1] ?? "") || words.some(isIts)) return true;
  return words.includes(name) && words.some((word) => /(?:^|\/)(?:docker|podman)$/.test(word));
}

function wordsOf(block: string, setting: string): readonly string[] {
  const lines = block.split("\n").filter((line) => line.startsWith(`${setting}=`));
  return lines.flatMap((line) => /argv\[\]=(.*?) ;/.exec(line)?.[1]?.split(" ") ?? []);
}

async function lookAtVolumes(host: Host, paths: readonly string[], how: Cancel): Promise<readonly Volume[]> {
  const argv = ["sh", "-c", LOOK, "drops-volumes", ...paths];
  const { stdout } = await host.run(argv, { ...how, maxStdout: 4 * 1024 * 1024 });
  return stdout
    .toString()
    .split("\0")
    .flatMap((field) => {
      const [, bytes, server, path] = /^(\d{0,15})\t(y?)\t(\/.*)$/s.exec(field) ?? [];
      return path === undefined ? [] : [{ path, bytes: Number(bytes), isPostgres: server === "y" }];
    });
}
