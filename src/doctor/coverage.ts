import { inBytes } from "../lib/units.ts";
import type { Policy } from "../policy/schema.ts";
import { pathsOf } from "../source/scope.ts";
import type { HostState, Tree } from "./host-state.ts";
import { type Line, ok, unable, warn } from "./types.ts";

/** What belongs to the system, is made anew by it, and is no service's data. Right below /var/lib. */
export const OF_THE_SYSTEM: ReadonlySet<string> = new Set([
  ...["apt", "aptitude", "aspell", "command-not-found", "dbus", "dhcp", "dhcpcd", "dictionaries-common"],
  ...["dpkg", "drops", "emacsen-common", "fwupd", "ghostscript", "initramfs-tools", "initscripts"],
  ...["insserv", "ispell", "logrotate", "man-db", "misc", "nixos", "pam", "plymouth", "polkit-1"],
  ...["python", "sgml-base", "sudo", "swtpm-localca", "systemd", "ubuntu-advantage", "ucf", "udisks2"],
  ...["unattended-upgrades", "update-notifier", "urandom", "usbutils", "vim", "xml-core", "machines"],
]);
/** Directories of running services are named from this size on: an empty directory has no more than a block. Bytes. */
const ANY = 4096 + 1;
/** Others, which may be anything, from this. Bytes. */
const BIG = 64 * 1024 * 1024;

const BESIDE_FIX =
  "a source of kind rocksdb takes the database alone: add a files source with the rest, or exclude it in a files source above";

/**
 * Pure: what lies on the host and in no source, but for `leftOut` and what is below it. A path that a source reaches and excludes was thought of, and is not named.
 * `beside`: what lies with a database and is in no source, in words.
 * Directories of DynamicUser= services are symlinks to /var/lib/private: compared by where they lead to.
 */
export function judgeCoverage(
  policy: Policy,
  state: HostState,
  leftOut: readonly string[],
  beside: readonly string[] = [],
): Line[] {
  const roots = policy.sources.flatMap(pathsOf).flatMap((path) => [path, state.resolved.get(path) ?? path]);
  const lines = state.trees
    .filter(({ path }) => !isIn(path, leftOut) && !OF_THE_SYSTEM.has(nameOf(path)))
    .flatMap((tree) => judgeTree(tree, roots, tree.of ?? ownerOf(tree, state)));
  lines.push(...beside.map((what) => warn(what, BESIDE_FIX)));
  if (state.units === undefined) {
    lines.push({
      result: "ok",
      what: "systemd does not run on the host: directories are judged by their size alone",
    });
  }
  const named = lines.some(({ result }) => result === "warn");
  if (state.missing !== "nothing") return [...lines, INCOMPLETE[state.missing]];
  return named ? lines : [ok("every large directory below /var/lib is in a source"), ...lines];
}

const INCOMPLETE = {
  unreadable: warn(
    "this user may not look into everything below /var/lib: something large may be missing here",
    "look as root, once: du -xsh /var/lib/*",
  ),
  uncounted: unable(
    "sizes below /var/lib could not be checked in time: something large may be missing here",
    "look when there is less to do, or yourself: du -xsh /var/lib/*",
  ),
} as const;

function judgeTree({ path, bytes }: Tree, roots: readonly string[], unit: string | undefined): Line[] {
  if (bytes < (unit === undefined ? BIG : ANY) || isIn(path, roots)) return [];
  const whose = unit === undefined ? "" : `, the state of ${unit}, which runs`;
  const inside = roots.filter((root) => isIn(root, [path]));
  const fix = `add a files source with ${path}, or leave it out knowingly: exclude it in a source above it`;
  if (inside.length > 0) {
    const some = [...new Set(inside)].slice(0, 3).join(", ");
    return [warn(`only a part of ${path} (${inBytes(bytes)}${whose}) is in a source: ${some}`, fix)];
  }
  return [warn(`${path} (${inBytes(bytes)}${whose}) is in no source`, fix)];
}

/** The running service whose state it is. */
function ownerOf({ path }: Tree, { units, resolved }: HostState): string | undefined {
  const owners = (units ?? []).filter(({ name, state }) => {
    const isSystem = name.startsWith("systemd-") || name.startsWith("drops-");
    const places = state.flatMap((place) => [
      place,
      place.replace(/^\/var\/lib\//, "/var/lib/private/"),
      resolved.get(place) ?? place,
    ]);
    return !isSystem && places.some((place) => place === path || isIn(place, [path]));
  });
  return owners[0]?.name;
}

export function isIn(path: string, roots: readonly string[]): boolean {
  return roots.some((root) => path === root || path.startsWith(root.endsWith("/") ? root : `${root}/`));
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
