import type { Host } from "../host/host.ts";
import type { Cancel } from "../lib/cancel.ts";

/** A directory and what a backup of it would read, other file systems below it left out. */
export interface Tree {
  readonly path: string;
  readonly bytes: number;
  /** What runs and has its data there, where that is known beforehand. */
  readonly of?: string;
}

export interface RunningUnit {
  readonly name: string;
  /** Of the machine; root when its settings name none. That of a DynamicUser= service is called as the service. */
  readonly user: string;
  /**
   * Where its data lies, each once: what its settings say (`StateDirectory`, `WorkingDirectory`, `ReadWritePaths`, `BindPaths`) and where it
   * has files open to write. Directories right below /var/lib, /srv and the like.
   */
  readonly state: readonly string[];
}

/** What lies on a host, backed up or not. */
export interface HostState {
  /** Where paths that were asked for, and links right below /var/lib, lead to; a path that leads nowhere is left out. */
  readonly resolved: ReadonlyMap<string, string>;
  /** Running services; undefined where systemd does not run. */
  readonly units: readonly RunningUnit[] | undefined;
  /** Directories right below /var/lib and /var/lib/private, symlinks followed. */
  readonly trees: readonly Tree[];
  /** Why there may be more: some of it may not be read, or counting took too long. */
  readonly missing: "nothing" | "unreadable" | "uncounted";
}

/** Seconds that counting may take. */
const COUNTING = 40;

/** Of a unit; and files that it has open, of each and in all. */
const PROCESSES = 64;
const OPEN_FILES = 512;

/** Arguments: paths to resolve. Fields are ended by NUL, as names may hold anything else. */
const SCRIPT = `
LC_ALL=C; export LC_ALL
for path; do printf 'path\\0%s\\0%s\\0' "$path" "$(readlink -e -- "$path")"; done
if [ -d /run/systemd/system ] && command -v systemctl >/dev/null; then
  units=$(systemctl list-units --type=service --state=running --no-legend --no-pager --plain | cut -d ' ' -f 1)
  printf 'units\\0'
  # shellcheck disable=SC2086
  [ -z "$units" ] || systemctl show --no-pager --property Id,User,StateDirectory,WorkingDirectory,ReadWritePaths,BindPaths -- $units
  printf '\\0'
  for unit in $units; do
    group=$(systemctl show --property ControlGroup --value -- "$unit")
    printf 'open\\0%s\\0' "$unit"
    for processes in "/sys/fs/cgroup$group/cgroup.procs" "/sys/fs/cgroup/systemd$group/cgroup.procs"; do
      [ -n "$group" ] && [ -r "$processes" ] && head -n ${PROCESSES} "$processes"
    done | while read -r process; do
      # flags end with 1 or 2: open to write
      grep -sl '^flags:.*[12]$' /proc/"$process"/fdinfo/* | head -n ${OPEN_FILES} | sed 's,/fdinfo/,/fd/,' |
        xargs -r -d '\\n' readlink -z -- 2>/dev/null
    done | sort -zu | head -z -n ${OPEN_FILES}
  done
fi
for tree in /var/lib/* /var/lib/private/*; do
  [ -L "$tree" ] && [ -d "$tree" ] && printf 'path\\0%s\\0%s\\0' "$tree" "$(readlink -e -- "$tree")"
done
printf 'trees\\0'
# An overlay's files are on another device than its directories, so that -x would leave them out.
case $(stat -f -c %T /var/lib) in overlay*) x= ;; *) x=x ;; esac
for tree in /var/lib/* /var/lib/private/*; do
  [ -d "$tree" ] && [ "$tree" != /var/lib/private ] && printf '%s\\0' "$(readlink -e -- "$tree")"
done | sort -zu | timeout ${COUNTING} xargs -0 -r du -0sb$x -- 2>/dev/null
printf 'counted\\0%s\\0' "$?"
`;

/** Look, without changing anything. `paths` are those of the policy. */
export async function readHostState(host: Host, paths: readonly string[], how: Cancel): Promise<HostState> {
  const argv = ["sh", "-c", SCRIPT, "drops-doctor", ...paths];
  const { stdout } = await host.run(argv, { ...how, maxStdout: 8 * 1024 * 1024 });
  return parseHostState(stdout.toString());
}

/** Exit statuses of xargs; any other is that of timeout, or there is none. */
const MISSING: Readonly<Record<string, HostState["missing"]>> = { "0": "nothing", "123": "unreadable" };

/** Exported for its tests. Each kind of answer begins with its word; trees are `BYTES<tab>PATH`, as du prints them. */
export function parseHostState(text: string): HostState {
  const fields = text.split("\0").values();
  const next = () => fields.next().value ?? "";
  const resolved = new Map<string, string>();
  const trees: Tree[] = [];
  const one: { units?: RunningUnit[]; counted?: string; open?: string } = {};
  const open: (readonly [unit: string, path: string])[] = [];
  const words = new Map<string, () => void>([
    ["path", () => keepResolved(resolved, next(), next())],
    ["units", () => Object.assign(one, { units: unitsIn(next()) })],
    ["open", () => Object.assign(one, { open: next() })],
    ["counted", () => Object.assign(one, { counted: next() })],
  ]);
  for (const field of fields) {
    const [, bytes, path] = /^(\d{1,15})\t(\/.*)$/s.exec(field) ?? [];
    if (path !== undefined) trees.push({ path, bytes: Number(bytes) });
    else if (field.startsWith("/")) open.push([one.open ?? "", field]);
    else words.get(field)?.();
  }
  return {
    resolved,
    units: one.units && withOpen(one.units, open),
    trees,
    missing: MISSING[one.counted ?? ""] ?? "uncounted",
  };
}

/** readlink says nothing of a path that leads nowhere. */
function keepResolved(resolved: Map<string, string>, path: string, target: string): void {
  if (target !== "") resolved.set(path, target);
}

/** Blocks of `Id=…` and the settings that name directories. */
function unitsIn(text: string): RunningUnit[] {
  return text.split("\n\n").flatMap((block) => {
    const of = (setting: string) => new RegExp(`^${setting}=(.*)$`, "m").exec(block)?.[1]?.split(" ") ?? [];
    const [[name = ""], [user = ""]] = [of("Id"), of("User")];
    const paths = [
      ...of("StateDirectory").map((directory) => `/var/lib/${directory.split(":")[0]}`),
      ...[...of("WorkingDirectory"), ...of("ReadWritePaths")].map((path) => path.replace(/^[-+!]+/, "")),
      ...of("BindPaths").map((path) => path.replace(/^-/, "").split(":")[0] ?? ""),
    ];
    return name === "" ? [] : [{ name, user: user === "" ? "root" : user, state: placesOf(paths) }];
  });
}

function withOpen(
  units: readonly RunningUnit[],
  open: readonly (readonly [unit: string, path: string])[],
): readonly RunningUnit[] {
  return units.map(({ state, ...unit }) => {
    const own = open.filter(([of, path]) => of === unit.name && !path.endsWith(" (deleted)"));
    return { ...unit, state: placesOf([...state, ...own.map(([, path]) => path)]) };
  });
}

/** Data of services lies in directories right below these. */
const HOLDS_DATA =
  /^(?:\/var\/lib\/private|\/var\/lib|\/var\/opt|\/var\/www|\/srv|\/opt|\/data)\/([^/]+)(?=\/|$)/;

/** The directories of services that these paths lie in. That of a DynamicUser= service by its name below /var/lib. */
function placesOf(paths: readonly string[]): readonly string[] {
  const places = paths.flatMap((path) => {
    const [place, name] = HOLDS_DATA.exec(path) ?? [];
    if (place === undefined || name === "private") return [];
    return place.replace(/^\/var\/lib\/private\//, "/var/lib/");
  });
  return [...new Set(places)];
}
