import type { Host } from "../host/host.ts";
import type { Cancel } from "../lib/cancel.ts";

/** A directory and what a backup of it would read, other file systems below it left out. */
export interface Tree {
  readonly path: string;
  readonly bytes: number;
}

export interface RunningUnit {
  readonly name: string;
  /** What systemd keeps for it below /var/lib, relative to that. */
  readonly state: readonly string[];
}

/** What lies on a host, backed up or not. */
export interface HostState {
  /** Paths that were asked for, by where they lead to, symlinks followed; a path that leads nowhere is left out. */
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

/** Arguments: paths to resolve. Fields are ended by NUL, as names may hold anything else. */
const SCRIPT = `
LC_ALL=C; export LC_ALL
for path; do printf 'path\\0%s\\0%s\\0' "$path" "$(readlink -e -- "$path")"; done
if [ -d /run/systemd/system ] && command -v systemctl >/dev/null; then
  units=$(systemctl list-units --type=service --state=running --no-legend --no-pager --plain | cut -d ' ' -f 1)
  printf 'units\\0'
  # shellcheck disable=SC2086
  [ -z "$units" ] || systemctl show --no-pager --property Id,StateDirectory -- $units
  printf '\\0'
fi
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
  const one: { units?: RunningUnit[]; counted?: string } = {};
  const words = new Map<string, () => void>([
    ["path", () => keepResolved(resolved, next(), next())],
    ["units", () => Object.assign(one, { units: unitsIn(next()) })],
    ["counted", () => Object.assign(one, { counted: next() })],
  ]);
  for (const field of fields) {
    const [, bytes, path] = /^(\d{1,15})\t(\/.*)$/s.exec(field) ?? [];
    if (path !== undefined) trees.push({ path, bytes: Number(bytes) });
    else words.get(field)?.();
  }
  return { resolved, units: one.units, trees, missing: MISSING[one.counted ?? ""] ?? "uncounted" };
}

/** readlink says nothing of a path that leads nowhere. */
function keepResolved(resolved: Map<string, string>, path: string, target: string): void {
  if (target !== "") resolved.set(path, target);
}

/** Blocks of `Id=…` and `StateDirectory=…`. */
function unitsIn(text: string): RunningUnit[] {
  return text.split("\n\n").flatMap((block) => {
    const name = /^Id=(.+)$/m.exec(block)?.[1];
    const state = /^StateDirectory=(.*)$/m.exec(block)?.[1] ?? "";
    return name === undefined ? [] : [{ name, state: state.split(" ").filter((word) => word !== "") }];
  });
}
